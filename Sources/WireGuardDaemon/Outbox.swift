import LinuxIO
import Packets
import WireGuard

/// How the control thread sends: it copies its datagrams one behind the other, and sends a batch a
/// time through the sockets of the first worker. The buffer that they are copied to is lent to it.
struct Outbox: ~Copyable {
    private var send4 = SendBatch(capacity: Outbox.maximumDatagrams, family: .v4)
    private var send6 = SendBatch(capacity: Outbox.maximumDatagrams, family: .v6)
    private var used = 0
    private static let maximumDatagrams = 64

    /// What the buffer must hold at least.
    static let bufferByteCount = 256 << 10

    /// What became of datagrams.
    struct Outcome: Equatable {
        /// How many were lost.
        var dropped = 0
        /// The peers whose cached sources were refused.
        var staleSources: [PeerSlot] = []
    }

    /// Sends all of them.
    mutating func send(
        _ datagrams: [Datagram], through sockets: UDPSocketPair, by buffer: inout MutableRawSpan
    ) -> Outcome {
        var outcome = Outcome()
        var peers4: [PeerSlot?] = []
        var peers6: [PeerSlot?] = []
        for datagram in datagrams {
            if used + datagram.bytes.count > buffer.byteCount || send4.isFull || send6.isFull {
                flush(buffer.bytes, through: sockets, peers4, peers6, &outcome)
                peers4 = []
                peers6 = []
            }
            // Larger than any datagram can be: an inner packet of the largest MTU.
            guard datagram.bytes.count <= buffer.byteCount else {
                outcome.dropped += 1
                continue
            }
            append(datagram, to: &buffer)
            switch datagram.remote.address {
            case .v4: peers4.append(datagram.peer)
            case .v6: peers6.append(datagram.peer)
            }
        }
        flush(buffer.bytes, through: sockets, peers4, peers6, &outcome)
        return outcome
    }

    private mutating func append(_ datagram: Datagram, to buffer: inout MutableRawSpan) {
        // Bytes have no padding.
        buffer.copy(
            datagram.bytes.count, from: unsafe datagram.bytes.span.bytes, at: 0, to: used)
        switch datagram.remote.address {
        case .v4:
            send4.append(
                offset: used, length: datagram.bytes.count, segmentSize: 0, to: datagram.remote,
                source: datagram.source, trafficClass: datagram.trafficClass)
        case .v6:
            send6.append(
                offset: used, length: datagram.bytes.count, segmentSize: 0, to: datagram.remote,
                source: datagram.source, trafficClass: datagram.trafficClass)
        }
        used += datagram.bytes.count
    }

    private mutating func flush(
        _ bytes: RawSpan, through sockets: UDPSocketPair, _ peers4: [PeerSlot?],
        _ peers6: [PeerSlot?], _ outcome: inout Outcome
    ) {
        if let v4 = sockets.v4, send4.count > 0 {
            outcome.add(send4.flush(to: v4.socket, from: bytes), of: peers4)
        }
        if let v6 = sockets.v6, send6.count > 0 {
            outcome.add(send6.flush(to: v6.socket, from: bytes), of: peers6)
        }
        // What a family that is missing left over.
        outcome.dropped += send4.removeAll() + send6.removeAll()
        used = 0
    }
}

extension Outbox.Outcome {
    fileprivate mutating func add(_ sent: SendOutcome, of peers: [PeerSlot?]) {
        dropped += sent.dropped
        staleSources += peers.indices.filter(sent.isSourceStale).compactMap { peers[$0] }
    }
}
