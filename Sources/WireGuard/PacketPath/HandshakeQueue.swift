import Packets
import Synchronization

/// The bounded queue of handshake messages from the packet path, which parses them and checks mac1, to
/// the control thread, which does the other cryptography.
///
/// The number of initiations and responses in it is the measure of load. A flood fills it and is dropped
/// here, without an effect on data. Cookie replies have no mac1: anybody can send them. They do not count
/// as load, and at most ``maximumCookieReplies`` wait at once.
final class HandshakeQueue: Sendable {
    /// A handshake message or cookie reply from the queue.
    struct Message {
        var bytes: [UInt8]
        let kind: HandshakeMessage.Kind
        let remote: SocketAddress
        let source: SourceAddress?
        /// Initiations and responses in the queue, this message included if it is one.
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
        var cookieReplies = 0

        static let stride = HandshakeInitiation.byteCount
    }

    private let ring = Mutex(Ring())

    /// The maximum number of cookie replies in the queue.
    static let maximumCookieReplies = Constants.handshakeQueueLength / 8

    /// Copies a message to the end of the queue.
    ///
    /// - Returns: needed for the first message in the queue; nil if the queue is full and the message was
    ///   not queued.
    func append(
        _ message: HandshakeMessage, remote: SocketAddress, source: SourceAddress?
    ) -> Wake? {
        ring.withLock { ring in
            let length = message.bytes.byteCount
            guard ring.count < ring.entries.count else { return nil }
            if message.kind == .cookieReply {
                guard ring.cookieReplies < Self.maximumCookieReplies else { return nil }
                ring.cookieReplies += 1
            }
            let index = (ring.head + ring.count) % ring.entries.count
            ring.entries[index] = Ring.Entry(
                length: length, kind: message.kind, remote: remote, source: source)
            var bytes = ring.bytes.mutableBytes
            bytes.copy(length, from: message.bytes, at: 0, to: index * Ring.stride)
            ring.count += 1
            return ring.count == 1 ? .needed : .notNeeded
        }
    }

    /// Takes the oldest message, nil if there is none.
    func next() -> Message? {
        ring.withLock { ring in
            guard ring.count > 0 else { return nil }
            let entry = ring.entries[ring.head]
            let start = ring.head * Ring.stride
            let waiting = ring.count - ring.cookieReplies
            var message = Message(
                bytes: Array(repeating: 0, count: entry.length), kind: entry.kind,
                remote: entry.remote, source: entry.source, waiting: waiting)
            var span = message.bytes.mutableSpan
            // Bytes have no padding.
            var bytes = unsafe span.mutableBytes
            bytes.copy(entry.length, from: ring.bytes.bytes, at: start, to: 0)
            ring.head = (ring.head + 1) % ring.entries.count
            ring.count -= 1
            if entry.kind == .cookieReply { ring.cookieReplies -= 1 }
            return message
        }
    }
}
