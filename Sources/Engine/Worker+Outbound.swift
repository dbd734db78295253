import Packets
import WireGuard

extension Worker
where Port: ~Copyable, Sender: ~Copyable, Receiver: ~Copyable, Host: ~Copyable {
    /// Reads what the TUN has, and sends it.
    mutating func drainTun(
        _ tun: inout MutableRawSpan, sending outgoing: inout MutableRawSpan,
        bouncing bounces: inout MutableRawSpan
    ) {
        let step = pacing.handle(.readable(isUp: sealer.isUp))
        guard step == .proceed else {
            host.wakeControlThread()
            return perform(step)
        }
        sealer.removeAll()
        loop: while pacing.mayRead {
            switch port.read(into: &tun) {
            case .bytes(let count):
                reading.end()
                emptyWakeUps.end()
                take(count, of: tun, sending: &outgoing, bouncing: &bounces)
                _ = pacing.handle(.read(byteCount: count, isInnerUDP: sealer.holdsInnerUDP))
            case .wouldBlock:
                if pacing.isFirstCall { noteEmptyWakeUp() }
                break loop
            case .gone:
                end()
                break loop
            case .failed(let errno):
                // The next wait returns at once, since the event is level-triggered.
                let reaction = reading.note(at: host.now())
                if reaction.isReported { host.report(.cannotRead(errno: errno)) }
                if reaction.pauses { host.pause(nanoseconds: RepeatedFailures.pauseNanoseconds) }
                break loop
            }
        }
        flush(&outgoing, bouncing: &bounces)
        perform(pacing.handle(.endedReading))
    }

    /// Adds what one read of the TUN returned to the batch.
    private mutating func take(
        _ count: Int, of tun: borrowing MutableRawSpan, sending outgoing: inout MutableRawSpan,
        bouncing bounces: inout MutableRawSpan
    ) {
        var start = 0
        var header = VirtioNetHeader()
        if port.hasVirtioNetHeader {
            guard count > VirtioNetHeader.byteCount,
                let read = VirtioNetHeader(tun.bytes, at: 0)
            else { return sealer.dropMalformedPacket() }
            header = read
            start = VirtioNetHeader.byteCount
        }
        guard sealer.load(tun.bytes, header: header, at: start, length: count - start)
        else { return }
        while !sealer.cut(from: tun.bytes, into: &outgoing) {
            flush(&outgoing, bouncing: &bounces)
        }
        if !sealer.hasRoom { flush(&outgoing, bouncing: &bounces) }
    }

    /// Seals the batch and sends it. Packets without a peer are answered with an ICMP error.
    private mutating func flush(
        _ outgoing: inout MutableRawSpan, bouncing bounces: inout MutableRawSpan
    ) {
        guard !sealer.isEmpty else {
            if sealer.takeWakeForDrops() == .needed { host.wakeControlThread() }
            return
        }
        let now = host.now()
        let wake = sealer.seal(in: &outgoing, bouncing: &bounces, now: now)
        for index in 0..<sealer.transmitCount { sender.append(sealer.transmits[index]) }
        note(sender.flush4(through: socket4, from: outgoing.bytes), now: now)
        note(sender.flush6(through: socket6, from: outgoing.bytes), now: now)
        for index in 0..<sealer.bounceCount { bounce(sealer.bounces[index], of: bounces.bytes) }
        if sealer.hasFoundLoop { host.report(.routingLoop) }
        sealer.removeAll()
        if wake == .needed { host.wakeControlThread() }
    }

    /// Reacts to the result of a send.
    private mutating func note(_ outcome: DualStackSender<Sender>.Outcome, now: ObservedInstant) {
        var outcome = outcome
        if outcome.dropped > 0 {
            sealer.countRefusedSends(outcome.dropped)
            if sealer.takeWakeForDrops() == .needed { host.wakeControlThread() }
        }
        if let refusal = outcome.refusal { stopSegmentation(refusal, now: now) }
        while let peer = sender.takeStalePeer(from: &outcome) { sealer.forgetSource(of: peer) }
    }

    private mutating func stopSegmentation(
        _ refusal: DualStackSender<Sender>.SegmentationRefusal, now: ObservedInstant
    ) {
        if refusal.isOfPath, let peer = refusal.peer {
            // The MTU of this path is below what the MTU of the tunnel requires.
            sealer.stopSegmentation(to: peer, now: now)
        } else {
            sealer.stopSegmentation(now: now)
        }
        guard !hasReportedSegmentation else { return }
        hasReportedSegmentation = true
        host.report(.segmentationRefused(errno: refusal.errno))
    }

    /// Writes an ICMP error to the TUN. If it is refused, it is dropped and counted.
    private mutating func bounce(_ bounce: Sealer.Bounce, of bytes: RawSpan) {
        let piece: InlineArray<1, FlowCoalescer.Piece> = [
            FlowCoalescer.Piece(
                offset: bounce.offset - VirtioNetHeader.byteCount,
                length: bounce.length + VirtioNetHeader.byteCount)
        ]
        if port.write(piece.span, of: bytes) != .written { countRefusedWrites(1) }
    }
}
