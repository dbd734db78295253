import Packets

/// A view of a message that carries a packet (§5.4.6).
///
///     type 4 | receiver 4 | counter 8 | packet n+16
package struct TransportData: BitwiseCopyable, ~Escapable {
    package let bytes: RawSpan

    /// - Precondition: `bytes` is transport data that ``Message`` parsed.
    @inline(__always)
    @_lifetime(copy bytes)
    init(parsed bytes: RawSpan) {
        precondition(bytes.byteCount >= Self.overhead)
        self.bytes = bytes
    }

    /// Parses a datagram. Returns nil if it is not transport data.
    @_lifetime(copy datagram)
    package init?(_ datagram: RawSpan) {
        guard case .transportData(let message)? = Message(datagram) else { return nil }
        self = message
    }

    package var receiver: ReceiverIndex {
        @inline(__always) get { bytes.loadIndex(at: Offset.receiver) }
    }

    package var counter: UInt64 {
        @inline(__always) get { bytes.loadLittleEndian(at: Offset.counter, as: UInt64.self) }
    }

    private enum Offset {
        static let receiver = 4
        static let counter = receiver + 4
    }

    /// Where the packet starts: the length of the header.
    package static let packet = 16
    package static let tagByteCount = 16
    /// Bytes that a message adds to its packet. A message of exactly this length is a keepalive.
    package static let overhead = packet + tagByteCount

    /// Writes the 16 bytes before the packet.
    package static func storeHeader(
        receiver index: ReceiverIndex, counter value: UInt64, at offset: Int,
        into bytes: inout MutableRawSpan
    ) {
        bytes.store(littleEndian: MessageType.transportData.rawValue, at: offset)
        bytes.store(littleEndian: index.rawValue, at: offset + Offset.receiver)
        bytes.store(littleEndian: value, at: offset + Offset.counter)
    }

    /// The length of a packet with its zero padding: a multiple of 16, but no more than the MTU.
    @inlinable
    package static func paddedLength(_ length: Int, mtu: Int) -> Int {
        length >= mtu ? length : min((length + 15) & ~15, mtu)
    }
}
