import Testing

@testable import Packets

/// No input from the network or the kernel may trap. A trap ends the test run.
@Suite("Hostile bytes")
struct FuzzTests {
    #if DEBUG
        static let rounds = 2000
    #else
        static let rounds = 100_000
    #endif

    @Test("no parser traps on any input", arguments: 0..<4 as Range<UInt64>)
    func parsers(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var answers = PacketBuffer(byteCount: ICMPUnreachable.maximumLength)
        var answered = 0
        for _ in 0..<Self.rounds {
            let bytes = hostilePacket(using: &random)
            var buffer = PacketBuffer(bytes)
            let isExact = random.next() % 2 == 0
            let length =
                isExact ? bytes.count : Int.random(in: -1...bytes.count + 1, using: &random)
            let offset = isExact ? 0 : Int.random(in: -1...1, using: &random)
            if let header = IPHeader(buffer.bytes, at: offset, length: length) {
                #expect(header.totalLength <= length && header.headerLength <= header.totalLength)
            }
            var answer = answers.mutableBytes
            let written = ICMPUnreachable.write(
                for: buffer.bytes, at: offset, length: length, into: &answer, at: 0)
            answered += written == nil ? 0 : 1
            _ = ECN.encapsulated(packet: buffer.bytes, at: offset, length: length)
            let outer = UInt8(truncatingIfNeeded: random.next())
            var span = buffer.mutableBytes
            ECN.decapsulate(outer: outer, packet: &span, at: offset, length: length)
            let segments = DatagramSegments(length: length, segmentSize: offset)
            #expect(segments[segments.count - 1].upperBound == max(0, length))
        }
        #expect(answered > Self.rounds / 100)
    }

    @Test(
        "segmentation throws, or the segments together are the payload",
        arguments: 0..<4 as Range<UInt64>)
    func segmentation(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var target = PacketBuffer(byteCount: 1024)
        var cuts = 0
        for _ in 0..<Self.rounds {
            let bytes = hostilePacket(using: &random)
            let source = PacketBuffer(bytes)
            let header = hostileHeader(using: &random)
            let length = Int.random(in: max(0, bytes.count - 3)...bytes.count + 1, using: &random)
            guard
                let plan = try? SegmentPlan(
                    header, packet: source.bytes, offset: 0, length: length)
            else { continue }
            cuts += 1
            var total = 0
            for index in 0..<plan.count {
                var span = target.mutableBytes
                let written = plan.cut(index, from: source.bytes, into: &span, at: 0)
                #expect(written == plan.length(of: index))
                total += written
            }
            #expect(total >= length)
        }
        #expect(cuts > Self.rounds / 20)
    }

    @Test(
        "the coalescer writes every packet exactly once",
        arguments: 0..<4 as Range<UInt64>)
    func coalescer(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var buffer = PacketBuffer(byteCount: 1 << 14)
        var coalescer = FlowCoalescer(maximumPackets: 32)
        for _ in 0..<Self.rounds / 8 {
            let packet = hostilePacket(using: &random)
            let packets = (0..<Int.random(in: 1...8, using: &random)).map { _ in
                random.next() % 2 == 0 ? packet : hostilePacket(using: &random)
            }
            let gap = Int.random(in: 16...20, using: &random)
            let result = Coalesced(packets, in: &buffer, through: &coalescer, gap: gap)
            let apart = result.separated.flatMap { $0.map { Array($0.dropFirst(10)) } }
            let isComplete =
                apart.sorted(by: { $0.lexicographicallyPrecedes($1) })
                == packets.sorted(by: { $0.lexicographicallyPrecedes($1) })
            #expect(isComplete)
            let again = try result.cutAgain()
            #expect(again.map(\.count) == result.pieceLengths.map(\.count))
        }
    }

    /// Random bytes, a packet with a few wrong bytes, or a truncated packet.
    private func hostilePacket(using random: inout SeededRandom) -> [UInt8] {
        if random.next() % 8 == 0 {
            return random.bytes(Int.random(in: 0...100, using: &random))
        }
        var packet = TestPacket.tcp(Int.random(in: 0...60, using: &random), at: 1)
        packet.isTCP = random.next() % 2 == 0
        packet.isVersion6 = random.next() % 2 == 0
        var bytes = packet.bytes
        for _ in 0..<random.next() % 4 {
            bytes[Int.random(in: 0..<bytes.count, using: &random)] =
                UInt8(truncatingIfNeeded: random.next())
        }
        if random.next() % 4 == 0 {
            bytes.removeLast(Int.random(in: 0...bytes.count, using: &random))
        }
        return bytes
    }

    private func hostileHeader(using random: inout SeededRandom) -> VirtioNetHeader {
        if random.next() % 4 == 0 {
            let noise = PacketBuffer(random.bytes(10))
            return VirtioNetHeader(noise.bytes, at: 0) ?? VirtioNetHeader()
        }
        var packet = TestPacket()
        packet.isTCP = random.next() % 2 == 0
        packet.isVersion6 = random.next() % 2 == 0
        var header = packet.virtioHeader(segmentSize: Int.random(in: 0...70, using: &random))
        switch random.next() % 8 {
        case 0: header.checksumStart = UInt16(truncatingIfNeeded: random.next() % 80)
        case 1: header.checksumOffset = UInt16(truncatingIfNeeded: random.next() % 80)
        case 2: header.segmentation = .none
        case 3: header.flags = []
        case 4: header.segmentation = .init(rawValue: UInt8(truncatingIfNeeded: random.next()))
        default: break
        }
        return header
    }
}
