import Packets
import WireGuard

/// Sends the datagrams of the control thread, in batches.
///
/// Consecutive cookie replies to the same remote are sent as segments of one message. The answer to a
/// flood from one port then takes one send for up to 64 replies. Datagrams to peers are sent one by
/// one, since each has a source that may be refused and a network path that may refuse segments.
struct Outbox<Sender: DatagramSender & ~Copyable>: ~Copyable {
    private var sender: DualStackSender<Sender>
    private var used = 0
    private var segmentationPause = ObservedInstant(nanoseconds: 0)

    /// Creates an outbox from a sender for IPv4 and one for IPv6.
    init(_ sender4: consuming Sender, _ sender6: consuming Sender) {
        sender = DualStackSender(sender4, sender6)
    }

    /// Sends all datagrams.
    ///
    /// - Parameters:
    ///   - usesSegmentation: whether segmented sends are allowed.
    ///   - buffer: where the datagrams are copied to, one after the other.
    mutating func send<Sockets: SocketPair>(
        _ datagrams: [UDPTransmit<[UInt8]>], through sockets: Sockets, usesSegmentation: Bool,
        by buffer: inout PacketBuffer, now: ObservedInstant
    ) -> OutboxOutcome where Sockets.Socket == Sender.Socket {
        var buffer = buffer.mutableBytes
        // A kernel without support would send all segments as one datagram.
        let canJoin = usesSegmentation && sockets.hasSegmentation && now >= segmentationPause
        var outcome = OutboxOutcome()
        var rest = datagrams[...]
        while let first = rest.first {
            let count = canJoin ? Self.segmentCount(of: rest, first, upTo: buffer.byteCount) : 1
            let byteCount = first.bytes.count * count
            if used + byteCount > buffer.byteCount || sender.isFull {
                flush(buffer.bytes, through: sockets, now, &outcome)
            }
            let segments = rest.prefix(count)
            rest = rest.dropFirst(count)
            // Exceeds the largest UDP datagram: an inner packet of the maximum MTU.
            guard byteCount <= buffer.byteCount else {
                outcome.dropped += count
                continue
            }
            append(segments, first, byteCount: byteCount, to: &buffer)
        }
        flush(buffer.bytes, through: sockets, now, &outcome)
        return outcome
    }

    /// The number of leading datagrams that can be segments of one message: cookie replies of equal
    /// length to one remote.
    private static func segmentCount(
        of datagrams: ArraySlice<UDPTransmit<[UInt8]>>, _ first: UDPTransmit<[UInt8]>,
        upTo byteCount: Int
    ) -> Int {
        guard first.peer == nil, !first.bytes.isEmpty else { return 1 }
        let limits = SegmentedSend.Limits.v4
        let most = min(byteCount, limits.bytes) / first.bytes.count
        let segments = datagrams.prefix(max(min(most, limits.segments), 1)).prefix {
            $0.peer == nil && $0.bytes.count == first.bytes.count && $0.remote == first.remote
                && $0.source == first.source && $0.trafficClass == first.trafficClass
        }
        return segments.count
    }

    private mutating func append(
        _ segments: ArraySlice<UDPTransmit<[UInt8]>>, _ first: UDPTransmit<[UInt8]>,
        byteCount: Int, to buffer: inout MutableRawSpan
    ) {
        let offset = used
        for datagram in segments {
            // Bytes have no padding.
            buffer.copy(
                datagram.bytes.count, from: unsafe datagram.bytes.span.bytes, at: 0, to: used)
            used += datagram.bytes.count
        }
        var transmit = UDPTransmit(
            bytes: SegmentRange(
                offset: offset, length: byteCount,
                segmentSize: segments.count > 1 ? first.bytes.count : 0),
            remote: first.remote, source: first.source, trafficClass: first.trafficClass)
        transmit.peer = first.peer
        sender.append(transmit)
    }

    private mutating func flush<Sockets: SocketPair>(
        _ bytes: RawSpan, through sockets: Sockets, _ now: ObservedInstant,
        _ outcome: inout OutboxOutcome
    ) where Sockets.Socket == Sender.Socket {
        add(sender.flush4(through: sockets.socket4, from: bytes), now, to: &outcome)
        add(sender.flush6(through: sockets.socket6, from: bytes), now, to: &outcome)
        used = 0
    }

    private mutating func add(
        _ sent: DualStackSender<Sender>.Outcome, _ now: ObservedInstant,
        to outcome: inout OutboxOutcome
    ) {
        var sent = sent
        outcome.dropped += sent.dropped
        while let peer = sender.takeStalePeer(from: &sent) { outcome.staleSources.append(peer) }
        // The replies were sent one by one. Another route may use a device that supports segments,
        // so try again later. A reply never exceeds the MTU of a path.
        if sent.refusal != nil { segmentationPause = now + Constants.segmentationPause }
    }
}

/// The result of sending the datagrams of the control thread.
package struct OutboxOutcome: Equatable, Sendable {
    /// The number of datagrams that were lost.
    package var dropped = 0
    /// The peers whose cached sources were refused.
    package var staleSources: [PeerSlot] = []
}
