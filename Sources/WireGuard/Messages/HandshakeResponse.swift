import Packets
import WireGuardCrypto

/// A view of the second message (§5.4.3).
///
///     type 4 | sender 4 | receiver 4 | ephemeral 32 | nothing 0+16 | mac1 16 | mac2 16
package struct HandshakeResponse: BitwiseCopyable, ~Escapable {
    package let bytes: RawSpan

    /// - Precondition: `bytes` is a response that ``Message`` parsed.
    @inline(__always)
    @_lifetime(copy bytes)
    init(parsed bytes: RawSpan) {
        precondition(bytes.byteCount == Self.byteCount)
        self.bytes = bytes
    }

    /// Parses a datagram. Returns nil if it is not a response.
    @_lifetime(copy datagram)
    package init?(_ datagram: RawSpan) {
        guard case .handshake(.response(let message))? = Message(datagram) else { return nil }
        self = message
    }

    package var sender: ReceiverIndex { bytes.loadIndex(at: Offset.sender) }

    package var receiver: ReceiverIndex { bytes.loadIndex(at: Offset.receiver) }

    package var ephemeral: PublicKey { PublicKey(message: bytes, at: Offset.ephemeral) }

    /// The tag of the empty payload.
    package var encryptedNothing: RawSpan {
        @_lifetime(copy self)
        get { bytes.extracting(Offset.encryptedNothing..<Offset.mac1) }
    }

    package var macs: MACs {
        @_lifetime(copy self)
        get { MACs(parsed: bytes) }
    }

    package static let byteCount = Offset.mac2 + 16

    /// Where the fields are, in bytes from the start of the message.
    package enum Offset {
        package static let sender = 4
        package static let receiver = sender + 4
        package static let ephemeral = receiver + 4
        package static let encryptedNothing = ephemeral + 32
        package static let mac1 = encryptedNothing + 16
        package static let mac2 = mac1 + 16
    }

    /// Writes the fields of a response, except its MACs.
    struct Writer: ~Copyable, ~Escapable {
        private var bytes: MutableRawSpan

        /// Writes the type and both indices to the first bytes of `buffer`.
        ///
        /// - Precondition: `buffer` has at least ``byteCount`` bytes.
        @_lifetime(&buffer)
        init(_ buffer: inout MutableRawSpan, sender: ReceiverIndex, receiver: ReceiverIndex) {
            bytes = buffer._mutatingExtracting(0..<byteCount)
            bytes.store(littleEndian: MessageType.handshakeResponse.rawValue, at: 0)
            bytes.store(littleEndian: sender.rawValue, at: Offset.sender)
            bytes.store(littleEndian: receiver.rawValue, at: Offset.receiver)
        }

        @_lifetime(self: copy self)
        mutating func store(ephemeral: PublicKey) {
            bytes.copy(ephemeral.bytes, at: Offset.ephemeral)
        }

        /// Room for the tag of the empty payload.
        var encryptedNothing: MutableRawSpan {
            @_lifetime(&self)
            mutating get { bytes._mutatingExtracting(Offset.encryptedNothing..<Offset.mac1) }
        }
    }
}
