import Testing

@testable import Packets

@Suite("Segmentation")
struct SegmentationTests {
    struct Row: TestRow {
        var claim: String
        var packet: TestPacket
        var size: Int
        var count: Int
    }

    static let rows = [
        Row(claim: "tcp4", packet: .tcp(4000, at: 7), size: 1380, count: 3),
        Row(claim: "tcp4 even", packet: .tcp(4000, at: 7), size: 1000, count: 4),
        Row(claim: "tcp4 odd size", packet: .tcp(4001, at: 7), size: 999, count: 5),
        Row(claim: "tcp4 one", packet: .tcp(500, at: 7), size: 1380, count: 1),
        Row(claim: "tcp4 no payload", packet: .tcp(0, at: 7), size: 1380, count: 1),
        Row(claim: "tcp4 one byte each", packet: .tcp(40, at: 7), size: 1, count: 40),
        Row(
            claim: "tcp4 wraps",
            packet: .tcp(4000, at: 0xFFFF_FF00).with { $0.identification = 0xFFFF },
            size: 1380, count: 3),
        Row(
            claim: "tcp4 flags and options",
            packet: .tcp(4000, at: 7, flags: 0x10 | 0x08 | 0x01 | 0x80 | 0x40).with {
                $0.tcpOptions = [1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8]
                $0.ipOptions = [1, 1, 1, 0]
                $0.trafficClass = 2
                $0.fragment = 0
                $0.urgent = 5
            }, size: 1300, count: 4),
        Row(claim: "tcp4 full", packet: .tcp(65_495, at: 7), size: 1380, count: 48),
        Row(claim: "tcp6", packet: .tcp(4000, at: 7).overVersion6, size: 1360, count: 3),
        Row(
            claim: "tcp6 fin",
            packet: .tcp(4000, at: 7, flags: 0x11).overVersion6.with {
                $0.flowLabel = 0x54321
                $0.trafficClass = 0xB9
            }, size: 1360, count: 3),
        Row(claim: "udp4", packet: .udp(4000, number: 9), size: 1392, count: 3),
        Row(claim: "udp4 even", packet: .udp(600, number: 9), size: 200, count: 3),
        Row(claim: "udp6", packet: .udp(4000).overVersion6, size: 1372, count: 3),
        Row(claim: "udp6 odd", packet: .udp(4001).overVersion6, size: 777, count: 6),
    ]

    @Test("each packet equals the one that a sender without offload would send", arguments: rows)
    func cutting(row: Row) throws {
        for lie in [0, 5, 65_535] as [UInt16] {
            let header = row.packet.virtioHeader(segmentSize: row.size)
                .with { $0.headerLength = lie }
            let result = try cut(row.packet.asSuperPacket, header)
            let expected = row.packet.cutSlowly(size: row.size).map(\.bytes)
            #expect(result == expected)
            #expect(result.count == row.count)
        }
    }

    @Test("the ECN bit of the kind has no effect")
    func ecnBit() throws {
        let packet = TestPacket.tcp(3000, at: 1, flags: 0x90)
        let header = packet.virtioHeader(segmentSize: 1000)
            .with { $0.segmentation = .init(rawValue: 0x81) }
        let result = try cut(packet.asSuperPacket, header)
        #expect(result == packet.cutSlowly(size: 1000).map(\.bytes))
    }

    @Test("every segment has the extension headers")
    func extensionHeaders() throws {
        let packet = TestPacket.tcp(300, at: 1).overVersion6
        let options: [UInt8] = [6, 0, 1, 4, 0, 0, 0, 0]
        func withOptions(_ bytes: [UInt8]) -> [UInt8] {
            var bytes = bytes
            bytes[6] = 0
            bytes.replaceSubrange(4..<6, with: UInt16(bytes.count - 40 + 8).bytes)
            bytes.insert(contentsOf: options, at: 40)
            return bytes
        }
        let header = packet.virtioHeader(segmentSize: 100).with { $0.checksumStart = 48 }
        let result = try cut(withOptions(packet.asSuperPacket), header)
        #expect(result == packet.cutSlowly(size: 100).map { withOptions($0.bytes) })
    }

    @Test("a packet without offload is copied unchanged", arguments: [1, 39, 1400])
    func plain(count: Int) throws {
        var random = SeededRandom(seed: 4)
        let bytes = random.bytes(count)
        let result = try cut(bytes, VirtioNetHeader())
        #expect(result == [bytes])
    }

    @Test("a partial checksum is completed", arguments: [false, true])
    func finishing(isVersion6: Bool) throws {
        for packet in [TestPacket.tcp(77, at: 3), .udp(1000), .udp(0)] {
            let packet = packet.with { $0.isVersion6 = isVersion6 }
            let header = packet.virtioHeader(segmentSize: 0).with { $0.segmentation = .none }
            let result = try cut(packet.asSuperPacket, header)
            #expect(result == [packet.bytes])
        }
    }

    @Test("a computed UDP checksum of zero is sent as ffff", arguments: [false, true])
    func zeroChecksum(isVersion6: Bool) throws {
        // With this payload the sum of the first datagram without its checksum is ffff.
        var packet = TestPacket.udp(4).with { $0.isVersion6 = isVersion6 }
        packet.payload = [0, 0, 0, 0]
        let bytes = packet.bytes
        let checksum = packet.transportOffset + 6
        packet.payload[0...1] = bytes[checksum...checksum + 1]
        let finished = packet.bytes
        #expect(Array(finished[checksum...checksum + 1]) == [0xFF, 0xFF])

        let one = packet.virtioHeader(segmentSize: 0).with { $0.segmentation = .none }
        #expect(try cut(packet.asSuperPacket, one) == [finished])
        let pair = packet.with { $0.payload += $0.payload }
        let result = try cut(pair.asSuperPacket, pair.virtioHeader(segmentSize: 4))
        #expect(result.first == finished)
    }

    struct Contradiction: TestRow {
        var claim: String
        var packet = TestPacket.tcp(3000, at: 1)
        var size = 1000
        var header: @Sendable (inout VirtioNetHeader) -> Void = { _ in }
        var byte: Int?
        var value: UInt8 = 0
        var length: Int?
        var error: SegmentationError
    }

    static let contradictions = [
        Contradiction(
            claim: "UFO", header: { $0.segmentation = .udpFragments }, error: .unknownKind),
        Contradiction(
            claim: "kind 2", header: { $0.segmentation = .init(rawValue: 2) },
            error: .unknownKind),
        Contradiction(claim: "no size", size: 0, error: .wrongSegmentSize),
        Contradiction(claim: "no checksum", header: { $0.flags = [] }, error: .wrongProtocol),
        Contradiction(
            claim: "checksum elsewhere", header: { $0.checksumOffset = 6 }, error: .wrongProtocol),
        Contradiction(
            claim: "v6 kind for v4", header: { $0.segmentation = .tcp6 }, error: .wrongProtocol),
        Contradiction(
            claim: "udp kind for tcp",
            header: {
                $0.segmentation = .udp
                $0.checksumOffset = 6
            }, error: .wrongProtocol),
        Contradiction(claim: "udp protocol", byte: 9, value: 17, error: .wrongProtocol),
        Contradiction(claim: "fragment", byte: 7, value: 1, error: .wrongProtocol),
        Contradiction(
            claim: "transport in options", header: { $0.checksumStart = 24 },
            error: .outsideOfPacket),
        Contradiction(
            claim: "transport in header", header: { $0.checksumStart = 16 },
            error: .outsideOfPacket),
        Contradiction(
            claim: "transport beyond", header: { $0.checksumStart = 65_535 },
            error: .outsideOfPacket),
        Contradiction(claim: "header of 16 bytes", byte: 0, value: 0x44, error: .outsideOfPacket),
        Contradiction(claim: "TCP of 16 bytes", byte: 32, value: 0x40, error: .outsideOfPacket),
        Contradiction(
            claim: "TCP header beyond", byte: 32, value: 0xF0, length: 45,
            error: .outsideOfPacket),
        Contradiction(claim: "cut short", length: 39, error: .outsideOfPacket),
        Contradiction(claim: "nothing", length: 0, error: .outsideOfPacket),
        Contradiction(claim: "beyond the bytes", length: 3041, error: .outsideOfPacket),
        Contradiction(
            claim: "v6 cut short", packet: .tcp(3000, at: 1).overVersion6, length: 59,
            error: .outsideOfPacket),
        Contradiction(
            claim: "v6 transport in header", packet: .tcp(3000, at: 1).overVersion6,
            header: { $0.checksumStart = 24 }, error: .outsideOfPacket),
        Contradiction(
            claim: "v6 transport elsewhere", packet: .tcp(3000, at: 1).overVersion6,
            header: { $0.checksumStart = 48 }, error: .wrongProtocol),
        Contradiction(
            claim: "v6 other protocol", packet: .tcp(3000, at: 1).overVersion6, byte: 6,
            value: 58, error: .wrongProtocol),
        Contradiction(
            claim: "checksum field beyond", packet: .udp(1),
            header: {
                $0.segmentation = .none
                $0.checksumOffset = 8
            }, error: .outsideOfPacket),
        Contradiction(
            claim: "sum from beyond", packet: .udp(1),
            header: {
                $0.segmentation = .none
                $0.checksumStart = 65_535
                $0.checksumOffset = 65_535
            }, error: .outsideOfPacket),
    ]

    @Test("contradictory headers are refused", arguments: contradictions)
    func refusal(row: Contradiction) {
        var bytes = row.packet.asSuperPacket
        if let byte = row.byte { bytes[byte] = row.value }
        let header = row.packet.virtioHeader(segmentSize: row.size).with(row.header)
        #expect(throws: row.error) {
            try cut(bytes, header, length: row.length)
        }
    }

    @Test("a segment is at most as long as an IP packet can be")
    func tooLong() {
        let packet = TestPacket.tcp(0, at: 1)
        let bytes = packet.asSuperPacket + Array(repeating: 0, count: 65_500)
        #expect(throws: SegmentationError.wrongSegmentSize) {
            try cut(bytes, packet.virtioHeader(segmentSize: 65_499))
        }
    }
}

/// All packets of a super-packet.
func cut(
    _ bytes: [UInt8], _ header: VirtioNetHeader, length: Int? = nil
) throws -> [[UInt8]] {
    let source = PacketBuffer([1, 2, 3] + bytes)
    let plan = try SegmentPlan(
        header, packet: source.bytes, offset: 3, length: length ?? bytes.count)
    return (0..<plan.count).map { index in
        let length = plan.length(of: index)
        var target = PacketBuffer(Array(repeating: 0xAA, count: length + 7))
        var span = target.mutableBytes
        let written = plan.cut(index, from: source.bytes, into: &span, at: 5)
        let around = target.array(0, 5) + target.array(5 + length, 2)
        #expect(written == length)
        #expect(around == Array(repeating: 0xAA, count: 7))
        return target.array(5, length)
    }
}

extension TestPacket {
    /// The header that the kernel puts in front of this packet as a super-packet.
    func virtioHeader(segmentSize: Int) -> VirtioNetHeader {
        VirtioNetHeader(
            flags: .needsChecksum,
            segmentation: isTCP ? (isVersion6 ? .tcp6 : .tcp4) : .udp,
            headerLength: UInt16(headerLength), segmentSize: UInt16(segmentSize),
            checksumStart: UInt16(transportOffset), checksumOffset: isTCP ? 16 : 6)
    }

    /// The bytes with the sum of the pseudo-header in the checksum field, as for `NEEDS_CSUM`.
    var asSuperPacket: [UInt8] {
        var bytes = bytes
        let addresses = isVersion6 ? bytes[8..<40] : bytes[12..<20]
        let length = UInt32(bytes.count - transportOffset)
        let number: UInt8 = isTCP ? 6 : 17
        let sum = referenceSum(addresses + length.bytes + [0, 0, 0, number])
        let field = transportOffset + (isTCP ? 16 : 6)
        bytes.replaceSubrange(field..<field + 2, with: sum.bytes)
        return bytes
    }

    /// The packets with at most `size` payload bytes that this one is segmented into.
    func cutSlowly(size: Int) -> [TestPacket] {
        let count = max(1, (payload.count + size - 1) / size)
        return (0..<count).map { index in
            with {
                $0.payload = Array(payload.dropFirst(index * size).prefix(size))
                $0.sequence &+= UInt32(index * size)
                $0.identification &+= UInt16(index)
                if index > 0 { $0.flags &= ~Self.congestionWindowReduced }
                if index < count - 1 { $0.flags &= ~(Self.push | Self.fin) }
            }
        }
    }
}

extension VirtioNetHeader {
    func with(_ change: (inout VirtioNetHeader) -> Void) -> VirtioNetHeader {
        var copy = self
        change(&copy)
        return copy
    }
}
