import Packets
import WireGuardCrypto

/// A view of the first message (§5.4.2).
///
///     type 4 | sender 4 | ephemeral 32 | static 32+16 | timestamp 12+16 | mac1 16 | mac2 16
package struct HandshakeInitiation: BitwiseCopyable, ~Escapable {
    package let bytes: RawSpan

    /// - Precondition: `bytes` is an initiation that ``Message`` parsed.
    @inline(__always)
    @_lifetime(copy bytes)
    init(parsed bytes: RawSpan) {
        precondition(bytes.byteCount == Self.byteCount)
        self.bytes = bytes
    }

    /// Parses a datagram. Returns nil if it is not an initiation.
    @_lifetime(copy datagram)
    package init?(_ datagram: RawSpan) {
        guard case .handshake(.initiation(let message))? = Message(datagram) else { return nil }
        self = message
    }

    package var sender: ReceiverIndex { bytes.loadIndex(at: Offset.sender) }

    package var ephemeral: PublicKey { PublicKey(message: bytes, at: Offset.ephemeral) }

    /// The initiator's static public key and its tag.
    package var encryptedStatic: RawSpan {
        @_lifetime(copy self)
        get { bytes.extracting(Offset.encryptedStatic..<Offset.encryptedTimestamp) }
    }

    /// The TAI64N timestamp and its tag.
    package var encryptedTimestamp: RawSpan {
        @_lifetime(copy self)
        get { bytes.extracting(Offset.encryptedTimestamp..<Offset.mac1) }
    }

    package var macs: MACs {
        @_lifetime(copy self)
        get { MACs(parsed: bytes) }
    }

    package static let byteCount = Offset.mac2 + 16

    /// Where the fields are, in bytes from the start of the message.
    package enum Offset {
        package static let sender = 4
        package static let ephemeral = sender + 4
        package static let encryptedStatic = ephemeral + 32
        package static let encryptedTimestamp = encryptedStatic + 32 + 16
        package static let mac1 = encryptedTimestamp + 12 + 16
        package static let mac2 = mac1 + 16
    }

    /// Writes the fields of an initiation, except its MACs.
    struct Writer: ~Copyable, ~Escapable {
        private var bytes: MutableRawSpan

        /// Writes the type and the sender to the first bytes of `buffer`.
        ///
        /// - Precondition: `buffer` has at least ``byteCount`` bytes.
        @_lifetime(&buffer)
        init(_ buffer: inout MutableRawSpan, sender: ReceiverIndex) {
            bytes = buffer._mutatingExtracting(0..<byteCount)
            bytes.store(littleEndian: MessageType.handshakeInitiation.rawValue, at: 0)
            bytes.store(littleEndian: sender.rawValue, at: Offset.sender)
        }

        @_lifetime(self: copy self)
        mutating func store(ephemeral: PublicKey) {
            bytes.copy(ephemeral.bytes, at: Offset.ephemeral)
        }

        /// Room for the initiator's static public key and its tag.
        var encryptedStatic: MutableRawSpan {
            @_lifetime(&self)
            mutating get {
                bytes._mutatingExtracting(Offset.encryptedStatic..<Offset.encryptedTimestamp)
            }
        }

        /// Room for the TAI64N timestamp and its tag.
        var encryptedTimestamp: MutableRawSpan {
            @_lifetime(&self)
            mutating get { bytes._mutatingExtracting(Offset.encryptedTimestamp..<Offset.mac1) }
        }
    }
}
