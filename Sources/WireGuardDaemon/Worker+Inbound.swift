import LinuxIO
import Packets
import WireGuard

extension Worker {
    /// How many receives before the TUN gets its turn.
    private static let receivesPerTurn = 8
    /// How many bytes of them: answers wait in the TUN.
    private static let bytesPerTurn = 256 << 10
    /// How many messages are received at once while they are large. What they fill stays in the cache,
    /// and what is in them is not kept waiting for more.
    private static let largeSlots = 8
    /// How many of them while they are mostly datagrams, which must not come to a socket all at once.
    private static let datagramSlots = 2
    /// After how many datagrams the program that reads them is offered the processor, once the write that
    /// they are in is done. The buffer that a socket has unless it asks for more holds some 80 of 1300 bytes.
    private static let datagramsPerOffer = 16
    /// The rest after datagrams, in nanoseconds for each of their bytes: 1.6 Gbit/s, less than most programs
    /// read. The shortest is as much as the kernel ends a rest later than asked for.
    private static let restPerByte = 5
    private static let shortestRest = 50_000
    private static let longestRest = 200_000

    /// Receives what a socket has, and writes what is in it to the TUN.
    mutating func drain(_ family: AddressFamily, _ incoming: inout MutableRawSpan) {
        var receives = Self.receivesPerTurn
        var bytes = 0
        var isEmpty = false
        while receives > 0, bytes < Self.bytesPerTurn {
            receives -= 1
            let limit =
                areMessagesSmall
                ? Self.slots : areMostlyDatagrams ? Self.datagramSlots : Self.largeSlots
            switch receive(family, atMost: limit, into: &incoming) {
            case .messages(let count):
                failures.receiving.end()
                failures.empty.end()
                let received = open(count, in: &incoming)
                bytes += received
                // So that a full receive of such messages would be no more than one of large ones.
                areMessagesSmall = received <= count * (Self.bytesPerTurn / Self.slots)
                // The socket was emptied; if not, we are woken again.
                if count < limit {
                    isEmpty = true
                    receives = 0
                }
            case .wouldBlock:
                if receives == Self.receivesPerTurn - 1 { failures.noteNothing() }
                isEmpty = true
                receives = 0
            case nil:
                receives = 0
            case .failed(let code):
                failures.receiving.note(code, of: "receiving", in: log)
                receives = 0
            }
        }
        carried += bytes
        // Whoever is behind goes on.
        if isEmpty, restAfterDatagrams() { return }
        if datagramsInARow > 0 { letDatagramsBeRead() }
    }

    /// Nothing slows whoever sends datagrams, and the socket they are for soon overflows: the program that
    /// reads them must not wait for us, who go before it. Between two busy processors, while it shared ours,
    /// it lost 1 to 2 % of a gigabit a second with this once a turn, and none with it as often as now.
    private mutating func letDatagramsBeRead() {
        datagramsInARow = 0
        Thread.yield()
    }

    /// Where the program that reads shares a processor with another, it waits for that, and datagrams that
    /// come in a burst are better kept here, where there is more room: of a gigabit a second, sent a
    /// millisecond's at once, 2 % were lost with this and 7 % without. What came meanwhile is then handed
    /// over with less work: without a limit a sixth more datagrams got through.
    ///
    /// There is none where datagrams are not most of what went through, either way: what else there is would
    /// wait too. Returns whether there was one.
    private mutating func restAfterDatagrams() -> Bool {
        defer { (datagramBytes, otherBytes) = (0, 0) }
        let rest = min(min(datagramBytes, Self.longestRest) * Self.restPerByte, Self.longestRest)
        guard rest >= Self.shortestRest, datagramBytes > otherBytes else { return false }
        datagramsInARow = 0
        Clock.pause(nanoseconds: rest - Self.shortestRest)
        return true
    }

    private mutating func receive(
        _ family: AddressFamily, atMost limit: Int, into incoming: inout MutableRawSpan
    ) -> ReceiveBatch.Result? {
        guard let socket = family == .v4 ? socket4 : socket6 else { return nil }
        return socket.receive(&received, atMost: limit, into: &incoming)
    }

    /// Opens what was received, and tells how many bytes that was.
    private mutating func open(_ count: Int, in incoming: inout MutableRawSpan) -> Int {
        var bytes = 0
        var message = InboundMessage()
        for slot in 0..<count {
            message.offset = received.offset(slot)
            // A truncated one fails its tag, or is no message at all.
            message.length = received.length(slot)
            bytes += message.length
            message.segmentSize = received.segmentSize(slot)
            message.remote = received.remote(slot)
            message.source = received.source(slot)
            message.trafficClass = received.trafficClass(slot)
            messages[slot] = message
        }
        let now = ObservedInstant(nanoseconds: Clock.boottime())
        if let resumes = joiningResumes, now >= resumes {
            joiningResumes = nil
            coalescer.coalescing = joined
        }
        let wake = opener.open(
            messages, count: count, in: &incoming, into: &coalescer, now: now)
        coalescer.finish(in: &incoming)
        if wake == .needed { control.signal() }
        var datagrams = 0
        for index in 0..<coalescer.writeCount {
            write(index, of: &incoming, now: now)
            guard coalescer.holdsDatagrams(writeAt: index) else { continue }
            // A piece is a datagram. One that the TUN refused counts too: that is rare, and costs a pause.
            for piece in coalescer.write(at: index) {
                datagramsInARow += 1
                datagrams += coalescer.piece(at: piece).length
            }
            if datagramsInARow >= Self.datagramsPerOffer { letDatagramsBeRead() }
        }
        coalescer.removeAll()
        // Less what the messages have around them, which does not matter here.
        let others = max(bytes - datagrams, 0)
        areMostlyDatagrams = datagrams > others
        datagramBytes &+= datagrams
        otherBytes &+= others
        return bytes
    }

    /// Writes one packet or super-packet to the TUN, as a whole or in its packets.
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
            // A packet for an interface that is down is lost, as on any other link.
            countRefusedWrites(range.count)
        case .refused where range.count > 1:
            separate(index, in: &incoming)
            stopJoining(now: now)
        case .refused, .wouldBlock, .failed:
            // There may be memory for smaller ones.
            if range.count > 1 {
                separate(index, in: &incoming)
            } else {
                countRefusedWrites(1)
            }
        }
    }

    private func countRefusedWrites(_ packets: Int) {
        opener.countRefusedWrites(packets)
        if opener.takeWakeForDrops() == .needed { control.signal() }
    }

    /// Writes the packets of a refused super-packet one by one.
    private mutating func separate(_ index: Int, in incoming: inout MutableRawSpan) {
        coalescer.separate(writeAt: index, in: &incoming)
        for piece in coalescer.write(at: index)
        where writeTwice(piece..<piece + 1, of: incoming.bytes) != .written {
            countRefusedWrites(1)
        }
    }

    /// The TUN does not take a super-packet: for ten seconds none is made.
    private mutating func stopJoining(now: ObservedInstant) {
        coalescer.coalescing = []
        joiningResumes = now + .seconds(10)
        guard !failures.hasTunRefused else { return }
        failures.hasTunRefused = true
        log.info("the TUN refuses joined packets: writing them one by one")
    }

    /// Writes again what was refused: there may be memory now, or the interface be up.
    private mutating func writeTwice(
        _ range: Range<Int>, of incoming: RawSpan
    ) -> TunQueue.WriteResult {
        let result = write(range, of: incoming)
        if result == .written || result == .gone { return result }
        return write(range, of: incoming)
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
}
