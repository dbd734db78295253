import Packets
import WireGuard

extension Worker
where Port: ~Copyable, Sender: ~Copyable, Receiver: ~Copyable, Host: ~Copyable {
    /// Receives what a socket has, and writes the packets in it to the TUN.
    mutating func drain(_ family: AddressFamily, _ incoming: inout MutableRawSpan) {
        var isEmpty = false
        _ = pacing.handle(.receivable)
        loop: while pacing.mayReceive {
            guard let socket = family == .v4 ? socket4 : socket6 else { break }
            let limit = pacing.receiveLimit
            switch receiver.receive(from: socket, atMost: limit, into: &incoming) {
            case .messages(let count):
                receiving.end()
                emptyWakeUps.end()
                open(count, in: &incoming)
                // If more has arrived meanwhile, the next wait returns at once.
                if count < limit {
                    isEmpty = true
                    break loop
                }
            case .wouldBlock:
                if pacing.isFirstCall { noteEmptyWakeUp() }
                isEmpty = true
                break loop
            case .failed(let errno):
                let reaction = receiving.note(at: host.now())
                if reaction.isReported { host.report(.cannotReceive(errno: errno)) }
                if reaction.pauses { host.pause(nanoseconds: RepeatedFailures.pauseNanoseconds) }
                break loop
            }
        }
        perform(pacing.handle(.endedReceiving(isEmpty: isEmpty)))
    }

    /// Opens received messages, and writes their packets to the TUN.
    private mutating func open(_ count: Int, in incoming: inout MutableRawSpan) {
        var byteCount = 0
        for slot in 0..<count {
            arrivals[slot] = receiver.arrival(slot)
            byteCount += arrivals[slot].bytes.length
        }
        let now = host.now()
        if let resumes = coalescingResumes, now >= resumes {
            coalescingResumes = nil
            coalescer.coalescing = coalescing
        }
        let wake = opener.open(arrivals, count: count, in: &incoming, into: &coalescer, now: now)
        coalescer.finish(in: &incoming)
        if wake == .needed { host.wakeControlThread() }
        let innerUDPBytes = writeAll(in: &incoming, now: now)
        _ = pacing.handle(
            .received(messages: count, byteCount: byteCount, innerUDPBytes: innerUDPBytes))
    }

    /// Writes everything in the coalescer.
    ///
    /// - Returns: the bytes of inner datagrams in it. Those that the TUN refused are included: that is
    ///   rare, and only costs a rest.
    private mutating func writeAll(in incoming: inout MutableRawSpan, now: ObservedInstant) -> Int {
        var innerUDPBytes = 0
        for index in 0..<coalescer.writeCount {
            write(index, of: &incoming, now: now)
            guard coalescer.holdsInnerUDP(writeAt: index) else { continue }
            // Each piece is a datagram.
            let pieces = coalescer.write(at: index)
            for piece in pieces { innerUDPBytes += coalescer.piece(at: piece).length }
            perform(pacing.handle(.wroteInnerUDP(pieces.count)))
        }
        coalescer.removeAll()
        return innerUDPBytes
    }

    /// Writes one packet or super-packet to the TUN.
    private mutating func write(
        _ index: Int, of incoming: inout MutableRawSpan, now: ObservedInstant
    ) {
        let range = coalescer.write(at: index)
        switch writeTwice(range, of: incoming.bytes) {
        case .written:
            return
        case .gone:
            end()
        case .down:
            // As on any link, a packet for an interface that is down is lost.
            countRefusedWrites(range.count)
        case .refused where range.count > 1:
            writeSeparately(index, in: &incoming)
            stopCoalescing(now: now)
        case .refused, .wouldBlock, .failed:
            // There may be memory for smaller packets.
            if range.count > 1 {
                writeSeparately(index, in: &incoming)
            } else {
                countRefusedWrites(1)
            }
        }
    }

    func countRefusedWrites(_ packets: Int) {
        opener.countRefusedWrites(packets)
        if opener.takeWakeForDrops() == .needed { host.wakeControlThread() }
    }

    /// Writes the packets of a refused super-packet one by one.
    private mutating func writeSeparately(_ index: Int, in incoming: inout MutableRawSpan) {
        coalescer.separate(writeAt: index, in: &incoming)
        for piece in coalescer.write(at: index)
        where writeTwice(piece..<piece + 1, of: incoming.bytes) != .written {
            countRefusedWrites(1)
        }
    }

    /// The TUN refused a super-packet: build none for ten seconds.
    private mutating func stopCoalescing(now: ObservedInstant) {
        coalescer.coalescing = []
        coalescingResumes = now + Constants.coalescingPause
        guard !hasReportedSuperPackets else { return }
        hasReportedSuperPackets = true
        host.report(.superPacketRefused)
    }

    /// Writes a packet, and tries once more if it was refused: memory may be available again, or the
    /// interface up.
    private mutating func writeTwice(
        _ range: Range<Int>, of incoming: RawSpan
    ) -> PacketWriteResult {
        Self.writeTwice(range, in: coalescer, of: incoming, to: &port)
    }

    // Static, because a span of `coalescer` would otherwise be an access to all of `self`.
    private static func writeTwice(
        _ range: Range<Int>, in coalescer: borrowing FlowCoalescer, of incoming: RawSpan,
        to port: inout Port
    ) -> PacketWriteResult {
        let result = port.write(coalescer.pieces(in: range), of: incoming)
        if result == .written || result == .gone { return result }
        return port.write(coalescer.pieces(in: range), of: incoming)
    }
}
