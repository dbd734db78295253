import Packets
import Synchronization

/// The bounded ring between the packet path, which only checks length and type, and the control
/// thread, which does the mathematics. Its length is the measure of load: a flood fills it and is
/// dropped here, and data goes on.
final class HandshakeQueue: Sendable {
    /// A handshake message or cookie reply that was taken out.
    struct Message {
        var bytes: [UInt8]
        var remote: SocketAddress
        var source: SourceAddress?
        /// How many waited, this one included.
        var waiting: Int

        /// The index that it names: of ours, or an initiation's own.
        var namedIndex: ReceiverIndex? {
            // Bytes have no padding.
            let bytes = unsafe self.bytes.span.bytes
            let offset: Int? =
                switch MessageType(datagram: bytes, offset: 0, length: bytes.byteCount) {
                case .handshakeInitiation: HandshakeInitiation.sender
                case .handshakeResponse: HandshakeResponse.receiver
                case .cookieReply: CookieReply.receiver
                case .transportData, nil: nil
                }
            return offset.map {
                ReceiverIndex(rawValue: bytes.loadLittleEndian(at: $0, as: UInt32.self))
            }
        }
    }

    /// What became of a message.
    enum Outcome {
        /// It waits, and the control thread must be woken, since it was the first.
        case queuedFirst
        case queued
        case full
    }

    private struct Ring: ~Copyable {
        struct Entry {
            var length = 0
            var remote = SocketAddress(address: .v4(IPv4Address(bits: 0)), port: 0)
            var source: SourceAddress?
        }

        var bytes = PacketBuffer(byteCount: Constants.handshakeQueueLength * Ring.stride)
        var entries = Array(repeating: Entry(), count: Constants.handshakeQueueLength)
        var head = 0
        var count = 0

        static let stride = HandshakeInitiation.byteCount
    }

    private let ring = Mutex(Ring())

    /// Copies a message of at most an initiation's length to the end.
    func append(
        _ datagram: RawSpan, offset: Int, length: Int, remote: SocketAddress, source: SourceAddress?
    ) -> Outcome {
        ring.withLock { ring in
            guard ring.count < ring.entries.count, length <= Ring.stride else { return .full }
            let index = (ring.head + ring.count) % ring.entries.count
            ring.entries[index] = Ring.Entry(length: length, remote: remote, source: source)
            var bytes = ring.bytes.mutableBytes
            bytes.copy(length, from: datagram, at: offset, to: index * Ring.stride)
            ring.count += 1
            return ring.count == 1 ? .queuedFirst : .queued
        }
    }

    /// Takes the first message.
    func next() -> Message? {
        ring.withLock { ring in
            guard ring.count > 0 else { return nil }
            let entry = ring.entries[ring.head]
            let start = ring.head * Ring.stride
            let waiting = ring.count
            var message = Message(
                bytes: Array(repeating: 0, count: entry.length), remote: entry.remote,
                source: entry.source, waiting: waiting)
            var span = message.bytes.mutableSpan
            // Bytes have no padding.
            var bytes = unsafe span.mutableBytes
            bytes.copy(entry.length, from: ring.bytes.bytes, at: start, to: 0)
            ring.head = (ring.head + 1) % ring.entries.count
            ring.count -= 1
            return message
        }
    }
}
