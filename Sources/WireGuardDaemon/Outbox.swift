import LinuxIO
import Packets
import WireGuard

/// How the control thread sends: it copies its datagrams one behind the other, and sends a batch a
/// time through the sockets of the first worker. The buffer that they are copied to is lent to it.
///
/// Cookie replies to one remote that follow each other leave as segments of one message: to answer a
/// flood from one port, the kernel goes the way of a send once for up to 64 of them. What goes to peers
/// leaves by itself, since each has a source to be cleared, and a path that may refuse segments.
struct Outbox: ~Copyable {
    private var send4 = SendBatch(capacity: Outbox.maximumMessages, family: .v4)
    private var send6 = SendBatch(capacity: Outbox.maximumMessages, family: .v6)
    private var used = 0
    private var segmentationPause = ObservedInstant(nanoseconds: 0)
    private static let maximumMessages = 64

    /// What the buffer must hold at least.
    static let bufferByteCount = 256 << 10

    /// What became of datagrams.
    struct Outcome: Equatable {
        /// How many were lost.
        var dropped = 0
        /// The peers whose cached sources were refused.
        var staleSources: [PeerSlot] = []
    }

    /// Sends all of them, some as segments of one message if `usesSegmentation`.
    mutating func send(
        _ datagrams: [Datagram], through sockets: UDPSocketPair, usesSegmentation: Bool,
        by buffer: inout MutableRawSpan, now: ObservedInstant
    ) -> Outcome {
        // A kernel that does not know of segments would send a run of datagrams as one.
        let canJoin = usesSegmentation && sockets.hasSegmentation && now >= segmentationPause
        var outcome = Outcome()
        var peers4: [PeerSlot?] = []
        var peers6: [PeerSlot?] = []
        var rest = datagrams[...]
        while let first = rest.first {
            let count = canJoin ? Self.runLength(of: rest, first, upTo: buffer.byteCount) : 1
            let byteCount = first.bytes.count * count
            if used + byteCount > buffer.byteCount || send4.isFull || send6.isFull {
                flush(buffer.bytes, through: sockets, peers4, peers6, now, &outcome)
                peers4 = []
                peers6 = []
            }
            let run = rest.prefix(count)
            rest = rest.dropFirst(count)
            // Larger than any datagram can be: an inner packet of the largest MTU.
            guard byteCount <= buffer.byteCount else {
                outcome.dropped += count
                continue
            }
            append(run, first, byteCount: byteCount, to: &buffer)
            switch first.remote.address {
            case .v4: peers4.append(first.peer)
            case .v6: peers6.append(first.peer)
            }
        }
        flush(buffer.bytes, through: sockets, peers4, peers6, now, &outcome)
        return outcome
    }

    /// How many of the first datagrams can be segments of one message: cookie replies, which are as
    /// long as each other, to one remote.
    private static func runLength(
        of datagrams: ArraySlice<Datagram>, _ first: Datagram, upTo byteCount: Int
    ) -> Int {
        guard first.peer == nil, !first.bytes.isEmpty else { return 1 }
        let most = min(byteCount, SendBatch.maximumByteCount) / first.bytes.count
        let run = datagrams.prefix(max(min(most, SendBatch.maximumSegments), 1)).prefix {
            $0.peer == nil && $0.bytes.count == first.bytes.count && $0.remote == first.remote
                && $0.source == first.source && $0.trafficClass == first.trafficClass
        }
        return run.count
    }

    private mutating func append(
        _ run: ArraySlice<Datagram>, _ first: Datagram, byteCount: Int,
        to buffer: inout MutableRawSpan
    ) {
        let offset = used
        for datagram in run {
            // Bytes have no padding.
            buffer.copy(
                datagram.bytes.count, from: unsafe datagram.bytes.span.bytes, at: 0, to: used)
            used += datagram.bytes.count
        }
        let segmentSize = run.count > 1 ? first.bytes.count : 0
        switch first.remote.address {
        case .v4:
            send4.append(
                offset: offset, length: byteCount, segmentSize: segmentSize, to: first.remote,
                source: first.source, trafficClass: first.trafficClass)
        case .v6:
            send6.append(
                offset: offset, length: byteCount, segmentSize: segmentSize, to: first.remote,
                source: first.source, trafficClass: first.trafficClass)
        }
    }

    private mutating func flush(
        _ bytes: RawSpan, through sockets: UDPSocketPair, _ peers4: [PeerSlot?],
        _ peers6: [PeerSlot?], _ now: ObservedInstant, _ outcome: inout Outcome
    ) {
        if let v4 = sockets.v4, send4.count > 0 {
            add(send4.flush(to: v4.socket, from: bytes), of: peers4, now, to: &outcome)
        }
        if let v6 = sockets.v6, send6.count > 0 {
            add(send6.flush(to: v6.socket, from: bytes), of: peers6, now, to: &outcome)
        }
        // What a family that is missing left over.
        outcome.dropped += send4.removeAll() + send6.removeAll()
        used = 0
    }

    private mutating func add(
        _ sent: SendOutcome, of peers: [PeerSlot?], _ now: ObservedInstant,
        to outcome: inout Outcome
    ) {
        outcome.dropped += sent.dropped
        outcome.staleSources += peers.indices.filter(sent.isSourceStale).compactMap { peers[$0] }
        // They have left one by one. Another route may lead through a device that can do it; no reply is
        // too large for a path.
        if sent.segmentationFailure != nil {
            segmentationPause = now + Constants.segmentationPause
        }
    }
}
