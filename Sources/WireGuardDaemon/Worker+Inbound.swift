import LinuxIO
import Packets
import WireGuard

extension Worker {
    /// How many receives before the TUN gets its turn.
    private static let receivesPerTurn = 8

    /// Receives what a socket has, and writes what is in it to the TUN.
    mutating func drain(_ family: AddressFamily, _ incoming: inout MutableRawSpan) {
        var receives = Self.receivesPerTurn
        while receives > 0 {
            receives -= 1
            switch receive(family, into: &incoming) {
            case .messages(let count):
                failures.receiveErrors = 0
                open(count, in: &incoming)
                // The socket was emptied; if not, we are woken again.
                if count < received.slots { receives = 0 }
            case .wouldBlock, nil:
                receives = 0
            case .failed(let code):
                noteReceiveError(code)
                receives = 0
            }
        }
    }

    private mutating func receive(
        _ family: AddressFamily, into incoming: inout MutableRawSpan
    ) -> ReceiveBatch.Result? {
        guard let shared = family == .v4 ? sockets?.v4 : sockets?.v6 else { return nil }
        return received.receive(from: shared.socket, into: &incoming)
    }

    private mutating func open(_ count: Int, in incoming: inout MutableRawSpan) {
        var message = InboundMessage()
        for slot in 0..<count {
            message.offset = received.offset(slot)
            // A truncated one fails its tag, or is no message at all.
            message.length = received.length(slot)
            message.segmentSize = received.segmentSize(slot)
            message.remote = received.remote(slot)
            message.source = received.source(slot)
            message.trafficClass = received.trafficClass(slot)
            messages[slot] = message
        }
        let now = Instant(nanoseconds: Clock.boottime())
        let wakes = inbound.open(
            messages, count: count, in: &incoming, into: &coalescer, now: now)
        coalescer.finish(in: &incoming)
        for index in 0..<coalescer.writeCount { write(index, of: &incoming) }
        coalescer.removeAll()
        if wakes { control.ring() }
    }

    /// Writes one packet or super-packet to the TUN.
    private mutating func write(_ index: Int, of incoming: inout MutableRawSpan) {
        let range = coalescer.write(at: index)
        switch write(range, of: incoming.bytes) {
        case .written, .down, .wouldBlock, .failed:
            // A packet for an interface that is down or full is lost, as on any other link.
            return
        case .gone:
            end()
        case .refused:
            guard range.count > 1 else { return }
            separate(index, in: &incoming)
        }
    }

    /// Writes the packets of a refused super-packet one by one, and joins no more.
    private mutating func separate(_ index: Int, in incoming: inout MutableRawSpan) {
        coalescer.separate(writeAt: index, in: &incoming)
        for piece in coalescer.write(at: index) {
            _ = write(piece..<piece + 1, of: incoming.bytes)
        }
        coalescer.coalescing = []
        guard !failures.hasTunRefused else { return }
        failures.hasTunRefused = true
        log.info("the TUN refuses joined packets: writing them one by one")
    }

    private mutating func write(
        _ range: Range<Int>, of incoming: RawSpan
    ) -> TunQueue.WriteResult {
        // Without a virtio header on the device, its room before the packet is left out.
        let skipped = queue.capabilities.hasVirtioNetHeader ? 0 : VirtioNetHeader.byteCount
        pieces.removeAll()
        for index in range {
            let piece = coalescer.piece(at: index)
            let cut = index == range.lowerBound ? skipped : 0
            pieces.append(offset: piece.offset + cut, length: piece.length - cut)
        }
        return queue.write(header: RawSpan(), pieces: &pieces, of: incoming)
    }

    /// A receive that fails is tried again, for ever: nothing that the network does ends a reader.
    private mutating func noteReceiveError(_ code: Int32) {
        failures.receiveErrors += 1
        if code != failures.lastReceiveError {
            failures.lastReceiveError = code
            log.error("receiving failed: \(SystemError.message(of: code)); trying again")
        }
        // Not at full speed while it goes on failing.
        if failures.receiveErrors > 10 { Clock.pause(milliseconds: 10) }
    }
}
