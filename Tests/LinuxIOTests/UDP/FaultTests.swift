import CFaults
import Glibc
import LinuxIO
import Packets
import Testing

/// Each errno that some implementation handled wrongly, at each position of a batch.
@Suite("Failing system calls of the packet path", .serialized)
struct FaultTests {
    static let errors = [
        EIO, EINVAL, EMSGSIZE, ENOBUFS, EAGAIN, ENOMEM, EINTR, ENETUNREACH, EADDRNOTAVAIL,
        ECONNREFUSED, ENETDOWN, EPERM, EOPNOTSUPP,
    ]
    static let families: [AddressFamily] = [.v4, .v6]
    /// The size of a batch. Each message has its own length; every third is a segmented send, every
    /// second has a source.
    static let count = 128
    /// The number of messages of one receive.
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

    /// All positions. In debug builds, where that would take minutes, the errnos share the positions, and
    /// each has those at the ends and in the middle.
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

    @Test("a temporary error loses no message", arguments: errors, families)
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
        "the datagrams of a message that always fails are counted, and the other messages are sent",
        arguments: errors, families)
    func sendNever(error: Int32, family: AddressFamily) throws {
        try Host.inNewNamespace {
            try Faults.with { faults in
                var link = try Loop(family, capacity: Self.count)
                for position in Self.positions(of: error) {
                    Self.fill(&link)
                    // Calls are repeated after EINTR without a limit.
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
                    // EINVAL and EMSGSIZE concern the path to one remote, other errors the network device.
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
        "the lost datagrams of a partly sent segmented send are counted",
        arguments: families)
    func sendPartOfRun(family: AddressFamily) throws {
        try Host.inNewNamespace {
            try Faults.with { faults in
                var link = try Loop(family, capacity: Self.count)
                let position = Self.count - 3  // a run
                for lost in 1...3 {
                    Self.fill(&link)
                    // The segmented send is refused twice, and so is each of its first datagrams.
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

    @Test("a socket sends again after a hundred consecutive errors", arguments: errors, families)
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
        "a batch that is sent in parts is neither lost nor duplicated",
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
        "a failed receive loses no message, once or a hundred times in a row",
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

    @Test("a failed read or write of a TUN can be repeated, at any packet", arguments: errors)
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
