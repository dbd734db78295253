import Packets

/// A message that carries a packet (§5.4.6): where its fields lie, in bytes from its start.
///
///     type 4 | receiver 4 | counter 8 | packet n+16
package enum TransportData {
    package static let receiver = 4
    package static let counter = receiver + 4
    package static let packet = counter + 8
    package static let tagByteCount = 16
    /// What a message adds to its packet; a message of just this length is a keepalive.
    package static let overhead = packet + tagByteCount

    /// Writes the sixteen bytes before the packet.
    @inlinable
    package static func storeHeader(
        receiver index: ReceiverIndex, counter value: UInt64, at offset: Int,
        into bytes: inout MutableRawSpan
    ) {
        bytes.store(littleEndian: MessageType.transportData.rawValue, at: offset)
        bytes.store(littleEndian: index.rawValue, at: offset + receiver)
        bytes.store(littleEndian: value, at: offset + counter)
    }

    /// The length of a packet with its zero padding: to a multiple of 16, but not past the MTU.
    @inlinable
    package static func paddedLength(_ length: Int, mtu: Int) -> Int {
        length >= mtu ? length : min((length + 15) & ~15, mtu)
    }
}
