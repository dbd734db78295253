import CFaults
import Glibc
import LinuxIO
import Packets
import Testing

/// Each errno that went wrong somewhere, at each position of a batch.
@Suite("Faults of the packet path's calls", .serialized)
struct FaultTests {
    static let errors = [
        EIO, EINVAL, EMSGSIZE, ENOBUFS, EAGAIN, ENOMEM, EINTR, ENETUNREACH, EADDRNOTAVAIL,
        ECONNREFUSED, ENETDOWN, EPERM, EOPNOTSUPP,
    ]
    static let families: [AddressFamily] = [.v4, .v6]
    /// As many messages as the outbound path sends at once, each of a length of its own: every third
    /// is a run, and every second has a source.
    static let count = 128
    /// As many messages as a socket is asked for at once.
    static let received = 32
    static let segmentSize = 50
    static let lengths = (0..<count).map { isRun($0) ? 300 + $0 : 60 + $0 }
    static let contents = (0..<count).map { Loop.pattern($0 * 31, lengths[$0]) }
    static let allContents = Array(contents.joined())

    static func isRun(_ index: Int) -> Bool { index % 3 == 2 }
    static func hasSource(_ index: Int) -> Bool { index % 2 == 1 }
    static func datagrams(_ index: Int) -> Int {
        isRun(index) ? (lengths[index] - 1) / segmentSize + 1 : 1
    }

    /// Every position; unoptimised, where that would take minutes, all errnos together have every one,
    /// and each has the ends and the middle.
    static func positions(of error: Int32) -> [Int] {
        #if DEBUG
            let number = errors.firstIndex(of: error) ?? 0
            return (0..<count).filter {
                $0 % errors.count == number || [0, 1, 2, 31, 32, 63, 64, 126, 127].contains($0)
            }
        #else
            return Array(0..<count)
        #endif
    }

    /// Appends the batch.
    static func fill(_ link: inout Loop) {
        let family = link.send.family
        for index in 0..<count {
            link.send.append(
                offset: index * 31, length: lengths[index],
                segmentSize: isRun(index) ? segmentSize : 0, to: link.destination,
                source: hasSource(index)
                    ? SourceAddress(address: family.loopback, interfaceIndex: 1) : nil,
                trafficClass: 0)
        }
    }

    @Test("an error that passes costs no message", arguments: errors, families)
    func sendOnce(error: Int32, family: AddressFamily) throws {
        try Host.inNewNamespace {
            try Faults.with { faults in
                var link = try Loop(family, capacity: Self.count)
                for position in Self.positions(of: error) {
                    Self.fill(&link)
                    faults.set(faults_sendmmsg, error: error, first: position)
                    let outcome = link.flush()
                    #expect(faults.count(faults_sendmmsg) == 1)
                    #expect(outcome.sent == Self.count && outcome.dropped == 0)
                    #expect(outcome.segmentationFailure == nil && outcome.staleSources == 0)
                    let messages = try link.receiveAll()
                    #expect(
                        Array(messages.map(\.bytes).joined()) == Self.allContents,
                        "at position \(position)")
                }
            }
        }
    }

    @Test(
        "the datagrams of a message that is refused in every way are counted, and the others leave",
        arguments: errors, families)
    func sendNever(error: Int32, family: AddressFamily) throws {
        try Host.inNewNamespace {
            try Faults.with { faults in
                var link = try Loop(family, capacity: Self.count)
                for position in Self.positions(of: error) {
                    Self.fill(&link)
                    // An interrupted call is repeated, however often.
                    let times = error == EINTR ? 100 : 1_000_000
                    faults.set(
                        faults_sendmmsg, error: error, times: times, length: Self.lengths[position])
                    let outcome = link.flush()
                    let ofSegments = [EIO, EINVAL, EMSGSIZE, EOPNOTSUPP]
                    let passes =
                        error == EINTR
                        || Self.isRun(position)
                            && (ofSegments + [ENOBUFS, ENOMEM]).contains(error)
                    #expect(outcome.sent == (passes ? Self.count : Self.count - 1))
                    #expect(outcome.dropped == (passes ? 0 : Self.datagrams(position)))
                    #expect(outcome.lastError == (passes ? 0 : error))
                    #expect(faults.count(faults_sendmmsg) <= (error == EINTR ? 100 : 10))
                    let isRefusedRun = Self.isRun(position) && ofSegments.contains(error)
                    #expect(
                        outcome.segmentationFailure?.index == (isRefusedRun ? position : nil))
                    // Of a path with room for less, and not of the device that all paths share.
                    #expect(
                        outcome.segmentationFailure?.isOfPath
                            == (isRefusedRun ? [EINVAL, EMSGSIZE].contains(error) : nil))
                    let messages = try link.receiveAll()
                    let expected = (0..<Self.count).filter { passes || $0 != position }
                    #expect(
                        Array(messages.map(\.bytes).joined())
                            == Array(expected.map { Self.contents[$0] }.joined()),
                        "at position \(position)")
                }
            }
        }
    }

    @Test(
        "of a run that leaves in part, the datagrams that are lost are counted",
        arguments: families)
    func sendPartOfRun(family: AddressFamily) throws {
        try Host.inNewNamespace {
            try Faults.with { faults in
                var link = try Loop(family, capacity: Self.count)
                let position = Self.count - 3  // a run
                for lost in 1...3 {
                    Self.fill(&link)
                    // The run is refused twice, and so is each of its first datagrams.
                    faults.set(faults_sendmmsg, error: EIO, times: 2 + 2 * lost, first: position)
                    let outcome = link.flush()
                    #expect(outcome.sent == Self.count && outcome.dropped == lost)
                    #expect(outcome.lastError == EIO)
                    #expect(outcome.segmentationFailure?.index == position)
                    let messages = try link.receiveAll()
                    let expected = (0..<Self.count).flatMap { index in
                        Self.contents[index].dropFirst(
                            index == position ? lost * Self.segmentSize : 0)
                    }
                    #expect(messages.flatMap(\.bytes) == expected)
                }
            }
        }
    }

    @Test("a socket that fails a hundred times in a row sends again", arguments: errors, families)
    func sendAfterHundred(error: Int32, family: AddressFamily) throws {
        try Host.inNewNamespace {
            try Faults.with { faults in
                var link = try Loop(family, capacity: Self.count)
                faults.set(faults_sendmmsg, error: error, times: 100)
                var flushes = 0
                repeat {
                    Self.fill(&link)
                    _ = link.flush()
                    _ = try link.receiveAll()
                    flushes += 1
                } while faults.count(faults_sendmmsg) < 100 && flushes < 100
                #expect(faults.count(faults_sendmmsg) == 100)
                Self.fill(&link)
                let outcome = link.flush()
                #expect(outcome.sent == Self.count && outcome.lastError == 0)
                let messages = try link.receiveAll()
                #expect(Array(messages.map(\.bytes).joined()) == Self.allContents)
            }
        }
    }

    @Test(
        "of a batch that is taken in parts nothing is lost or doubled",
        arguments: families)
    func partialSend(family: AddressFamily) throws {
        try Host.inNewNamespace {
            try Faults.with { faults in
                var link = try Loop(family, capacity: Self.count)
                for most in 1..<Self.count {
                    faults.set(faults_sendmmsg, error: 0, most: most)
                    Self.fill(&link)
                    let outcome = link.flush()
                    #expect(outcome.sent == Self.count && outcome.dropped == 0)
                    let messages = try link.receiveAll()
                    #expect(
                        Array(messages.map(\.bytes).joined()) == Self.allContents,
                        "\(most) at once")
                }
            }
        }
    }

    @Test(
        "a receive that fails takes nothing with it, a hundred times as well as once",
        arguments: errors, families)
    func receive(error: Int32, family: AddressFamily) throws {
        try Host.inNewNamespace {
            try Faults.with { faults in
                var link = try Loop(family, receiveOffload: .disabled)
                for (position, times) in (0..<Self.received).map({ ($0, 1) }) + [(3, 100)] {
                    for index in 0..<Self.received {
                        link.send.append(
                            offset: index, length: 100 + index, segmentSize: 0,
                            to: link.destination, source: nil, trafficClass: 0)
                    }
                    let outcome = link.flush()
                    #expect(outcome.sent == Self.received)
                    faults.set(faults_recvmmsg, error: error, times: times, first: position)
                    var batch = ReceiveBatch(slots: Self.received)
                    var buffer = PacketBuffer(
                        byteCount: ReceiveBatch.bufferByteCount(slots: Self.received))
                    var received: [Int] = []
                    var failures = 0
                    while received.count < Self.received, failures <= times {
                        var bytes = buffer.mutableBytes
                        switch batch.receive(from: link.receiver, into: &bytes) {
                        case .messages(let count):
                            for slot in 0..<count { received.append(batch.length(slot)) }
                        case .wouldBlock:
                            #expect(error == EAGAIN)
                            failures += 1
                        case .failed(let code):
                            #expect(code == error)
                            failures += 1
                        }
                    }
                    #expect(received == (0..<Self.received).map { 100 + $0 })
                    #expect(failures == (error == EINTR ? 0 : times))
                    #expect(faults.count(faults_recvmmsg) == times)
                }
            }
        }
    }

    @Test("a read or a write of a TUN that fails can be repeated, at any packet", arguments: errors)
    func tun(error: Int32) throws {
        try Host.inNewNamespace {
            try Faults.with { faults in
                let tun = try Tun()
                let listener = try UDPSocket(.v4, port: 7777)
                let packets = 32
                for position in 0..<packets {
                    faults.set(faults_read, error: error, first: position)
                    for _ in 0..<packets { try tun.send(length: 5, segmentSize: 0) }
                    let reads = try (0..<packets + 1).map { _ in try Self.readOnce(tun) }
                    let failed = error == EINTR ? packets : position
                    for (index, read) in reads.enumerated() {
                        let expected: PacketReadResult =
                            if index != failed {
                                .bytes(10 + 28 + 5)
                            } else if error == EAGAIN || error == EINTR {
                                .wouldBlock
                            } else {
                                .failed(error)
                            }
                        #expect(read == expected)
                    }

                    faults.set(faults_writev, error: error, first: position)
                    for index in 0..<packets {
                        let packet = Tun.datagram([UInt8(index)], port: 7777)
                        var result = tun.write(packet)
                        if index == position, error != EINTR {
                            #expect(result == Self.writeResult(error))
                            result = tun.write(packet)
                        }
                        #expect(result == .written)
                    }
                    let payloads = try Loop.drain(listener).map(\.bytes)
                    #expect(payloads == (0..<packets).map { [UInt8($0)] })
                }
            }
        }
    }

    private static func readOnce(_ tun: borrowing Tun) throws -> PacketReadResult {
        var buffer = PacketBuffer(byteCount: 2000)
        var bytes = buffer.mutableBytes
        return tun.queue.read(into: &bytes, at: 0, count: 2000)
    }

    private static func writeResult(_ error: Int32) -> PacketWriteResult {
        switch error {
        case EIO: .down
        case EINVAL: .refused
        case EAGAIN: .wouldBlock
        default: .failed(error)
        }
    }
}
