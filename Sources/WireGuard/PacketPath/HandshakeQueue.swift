import Packets
import Synchronization

/// The bounded ring between the packet path, which only checks length and type, and the control
/// thread, which does the mathematics. Its length is the measure of load: a flood fills it and is
/// dropped here, and data goes on.
final class HandshakeQueue: Sendable {
    /// A handshake message or cookie reply that was taken out.
    struct Message {
        var bytes: [UInt8]
        let kind: HandshakeMessage.Kind
        let remote: SocketAddress
        let source: SourceAddress?
        /// Messages in the queue, this one included.
        let waiting: Int

        /// The message, as it was parsed before it was queued.
        var content: HandshakeMessage {
            @_lifetime(borrow self)
            get {
                // Bytes have no padding.
                HandshakeMessage(parsed: unsafe bytes.span.bytes, kind: kind)
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
            var kind = HandshakeMessage.Kind.initiation
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

    /// Copies a message to the end of the queue.
    func append(
        _ message: HandshakeMessage, remote: SocketAddress, source: SourceAddress?
    ) -> Outcome {
        ring.withLock { ring in
            let length = message.bytes.byteCount
            guard ring.count < ring.entries.count else { return .full }
            let index = (ring.head + ring.count) % ring.entries.count
            ring.entries[index] = Ring.Entry(
                length: length, kind: message.kind, remote: remote, source: source)
            var bytes = ring.bytes.mutableBytes
            bytes.copy(length, from: message.bytes, at: 0, to: index * Ring.stride)
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
                bytes: Array(repeating: 0, count: entry.length), kind: entry.kind,
                remote: entry.remote, source: entry.source, waiting: waiting)
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
