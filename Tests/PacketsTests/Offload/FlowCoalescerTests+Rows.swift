@testable import Packets

extension FlowCoalescerTests {
    static let push = TestPacket.ack | TestPacket.push

    /// The cases of wireguard-go's GRO tests. It moves a late packet to the front; we keep the order.
    static let wireguardGo: [Row] = [
        Row(
            "several protocols and flows",
            [
                .tcp(100, at: 1), .udp(100, number: 7), .tcp(100, at: 1, to: 3),
                .tcp(100, at: 101), .tcp(100, at: 201, to: 3), .tcp(100, at: 1).overVersion6,
                .tcp(100, at: 101).overVersion6, .udp(100, number: 8),
                .udp(100).overVersion6, .udp(100).overVersion6,
            ], [[0, 3], [1, 7], [2], [4], [5, 6], [8, 9]]),
        Row(
            "PSH interleaved",
            [
                .tcp(100, at: 1), .tcp(100, at: 101, flags: push), .tcp(100, at: 201),
                .tcp(100, at: 301, flags: push), .tcp(100, at: 1).overVersion6,
                .tcp(100, at: 101, flags: push).overVersion6, .tcp(100, at: 201).overVersion6,
                .tcp(100, at: 301, flags: push).overVersion6,
            ], [[0, 1], [2, 3], [4, 5], [6, 7]]),
        Row(
            "bad checksums",
            [
                .tcp(100, at: 1).with { $0.transportChecksumError = 1 }, .tcp(100, at: 101),
                .tcp(100, at: 201), .udp(100).with { $0.transportChecksumError = 1 },
                .udp(100, number: 1), .udp(100, number: 2),
            ], [[0], [1, 2], [3], [4, 5]]),
        Row(
            "out of order",
            [.tcp(100, at: 101), .tcp(100, at: 1), .tcp(100, at: 201)], [[0], [1], [2]]),
        Row(
            "unequal TTL",
            [
                .tcp(100, at: 1), .tcp(100, at: 101).with { $0.hopLimit = 65 }, .udp(100),
                .udp(100, number: 1).with { $0.hopLimit = 65 },
            ], [[0], [1], [2], [3]]),
        Row(
            "unequal type of service",
            [
                .tcp(100, at: 1), .tcp(100, at: 101).with { $0.trafficClass = 1 }, .udp(100),
                .udp(100, number: 1).with { $0.trafficClass = 1 },
            ], [[0], [1], [2], [3]]),
        Row(
            "more fragments",
            [
                .tcp(100, at: 1), .tcp(100, at: 101).with { $0.fragment = 0x2000 }, .udp(100),
                .udp(100, number: 1).with { $0.fragment = 0x2000 },
            ], [[0], [1], [2], [3]]),
        Row(
            "unequal DF",
            [
                .tcp(100, at: 1), .tcp(100, at: 101).with { $0.fragment = 0 }, .udp(100),
                .udp(100, number: 1).with { $0.fragment = 0 },
            ], [[0], [1], [2], [3]]),
        Row(
            "unequal hop limit",
            [
                .tcp(100, at: 1).overVersion6,
                .tcp(100, at: 101).overVersion6.with { $0.hopLimit = 65 },
                .udp(100).overVersion6, .udp(100).overVersion6.with { $0.hopLimit = 65 },
            ], [[0], [1], [2], [3]]),
        Row(
            "unequal traffic class",
            [
                .tcp(100, at: 1).overVersion6,
                .tcp(100, at: 101).overVersion6.with { $0.trafficClass = 1 },
                .udp(100).overVersion6, .udp(100).overVersion6.with { $0.trafficClass = 1 },
            ], [[0], [1], [2], [3]]),
        Row(
            "UDP not to be joined",
            [.tcp(100, at: 1), .udp(100), .udp(100, number: 1), .tcp(100, at: 101)],
            [[0, 3], [1], [2]], coalescing: .tcp),
    ]

    /// Two packets of a flow. The second differs in one field.
    static let differences: [Row] = [
        difference("equal", [[0, 1, 2]]) { _ in },
        difference("acknowledgment", [[0], [1], [2]]) { $0.acknowledgment = 2 },
        difference("window", [[0], [1], [2]]) { $0.window = 1 },
        difference("urgent pointer", [[0], [1], [2]]) { $0.urgent = 1 },
        difference("SYN", [[0], [1], [2]]) { $0.flags |= 0x02 },
        difference("FIN", [[0], [1], [2]]) { $0.flags |= 0x01 },
        difference("RST", [[0], [1], [2]]) { $0.flags |= 0x04 },
        difference("URG", [[0], [1], [2]]) { $0.flags |= 0x20 },
        difference("ECE", [[0], [1], [2]]) { $0.flags |= 0x40 },
        difference("CWR", [[0], [1], [2]]) { $0.flags |= 0x80 },
        difference("no ACK", [[0], [1], [2]]) { $0.flags = 0 },
        difference("PSH", [[0, 1], [2]]) { $0.flags |= 0x08 },
        difference("TCP options", [[0], [1], [2]]) { $0.tcpOptions = [1, 1, 1, 0] },
        difference("IP options", [[0], [1], [2]]) { $0.ipOptions = [1, 1, 1, 0] },
        difference("reserved bit", [[0], [1], [2]]) { $0.fragment = 0xC000 },
        difference("fragment offset", [[0], [1], [2]]) { $0.fragment = 0x4001 },
        difference("identification", [[0], [1], [2]]) { $0.identification = 77 },
        difference("bad checksum", [[0], [1], [2]]) { $0.transportChecksumError = 1 },
        difference("bad header checksum", [[0], [1], [2]]) { $0.headerChecksumError = 1 },
        difference("shorter", [[0, 1], [2]]) { $0.payload = TestPacket.pattern(99) },
        difference("longer", [[0], [1], [2]]) { $0.payload = TestPacket.pattern(101) },
        difference("no payload", [[0], [1], [2]]) { $0.payload = [] },
        difference("repeated", [[0], [1], [2]]) { $0.sequence = 1 },
        difference("other port", [[0, 2], [1]], last: .tcp(100, at: 101)) { $0.sourcePort = 9 },
        difference("other address", [[0, 2], [1]], last: .tcp(100, at: 101)) { $0.source = 9 },
        difference("flow label", [[0], [1], [2]], isVersion6: true) { $0.flowLabel = 1 },
        difference("v6 PSH", [[0, 1], [2]], isVersion6: true) { $0.flags |= 0x08 },
    ]

    private static func difference(
        _ claim: String, _ writes: [[Int]], isVersion6: Bool = false, last: TestPacket? = nil,
        _ change: (inout TestPacket) -> Void
    ) -> Row {
        let packets = [
            TestPacket.tcp(100, at: 1), TestPacket.tcp(100, at: 101).with(change),
            last ?? .tcp(100, at: 201),
        ]
        return Row(claim, packets.map { $0.with { $0.isVersion6 = isVersion6 } }, writes)
    }

    /// The next `count` segments of a TCP stream.
    private static func stream(
        _ count: Int, of length: Int = 100, _ change: (inout TestPacket, Int) -> Void = { _, _ in }
    ) -> [TestPacket] {
        (0..<count).map { index in
            var packet = TestPacket.tcp(length, at: UInt32(1 + length * index))
            packet.identification = UInt16(index)
            change(&packet, index)
            return packet
        }
    }

    /// Datagrams with these identifications.
    private static func datagrams(
        _ identifications: [UInt16], _ change: (inout TestPacket) -> Void = { _ in }
    ) -> [TestPacket] {
        identifications.map { TestPacket.udp(100, number: $0).with(change) }
    }

    /// The TCP option that Linux sends with each segment.
    private static func timestamp(_ value: UInt8) -> [UInt8] {
        [1, 1, 8, 10, 0, 0, 0, value, 0, 0, 0, 1]
    }

    static let others: [Row] = [
        Row("nothing", [], []),
        Row("one", [.tcp(100, at: 1)], [[0]]),
        Row(
            "the version is part of the flow",
            [.udp(100), .udp(100).overVersion6, .udp(100, number: 1)], [[0, 2], [1]]),
        Row(
            "a bad checksum of the first packet is found with the second",
            [
                .tcp(100, at: 1).with { $0.headerChecksumError = 1 }, .tcp(100, at: 101),
                .tcp(100, at: 201),
            ], [[0], [1, 2]]),
        Row(
            "the first has PSH", [.tcp(100, at: 1, flags: push), .tcp(100, at: 101)],
            [[0], [1]]),
        Row(
            "equal options", stream(3) { packet, _ in packet.tcpOptions = timestamp(4) },
            [[0, 1, 2]]),
        Row(
            "different time stamps",
            stream(3) { packet, index in packet.tcpOptions = timestamp(UInt8(index / 2)) },
            [[0, 1], [2]]),
        Row(
            "sequence and identification wrap",
            [
                .tcp(100, at: 0xFFFF_FFCE).with { $0.identification = 0xFFFF },
                .tcp(100, at: 50).with { $0.identification = 0 },
            ], [[0, 1]]),
        Row(
            "constant identification with DF",
            [.udp(100), .udp(100), .udp(100), .udp(100, number: 1), .udp(100, number: 2)],
            [[0, 1, 2], [3, 4]]),
        Row(
            "constant identification without DF",
            datagrams([0, 0]) { packet in packet.fragment = 0 }, [[0], [1]]),
        Row(
            "increasing identification without DF",
            datagrams([0, 1]) { packet in packet.fragment = 0 }, [[0, 1]]),
        Row(
            "UDP without checksum",
            [
                .udp(100), .udp(100, number: 1).with { $0.isWithoutUDPChecksum = true },
                .udp(100, number: 2),
            ], [[0], [1], [2]]),
        Row("UDP without payload", [.udp(100), .udp(0, number: 1)], [[0], [1]]),
        Row(
            "a shorter datagram is the last",
            [.udp(100), .udp(60, number: 1), .udp(60, number: 2), .udp(100, number: 3)],
            [[0, 1], [2], [3]]),
        Row(
            "a pure ACK is not overtaken",
            [.tcp(100, at: 1), .tcp(0, at: 101), .tcp(100, at: 101)], [[0], [1], [2]]),
        Row(
            "a fragment is not overtaken",
            [
                .udp(100), .udp(100, number: 1).with { $0.fragment = 0x2001 },
                .udp(100, number: 1),
            ], [[0], [1], [2]]),
        Row(
            "a fragment between other hosts does not matter",
            [
                .udp(100), .udp(100, number: 1, to: 9).with { $0.fragment = 0x2001 },
                .udp(100, number: 1),
            ], [[0, 2], [1]]),
        Row(
            "64 datagrams at most", datagrams(Array(0..<130)),
            [Array(0..<64), Array(64..<128), [128, 129]]),
        Row("65 535 bytes at most", stream(4, of: 20_000), [[0, 1, 2], [3]]),
        Row(
            "joining is disabled",
            [.tcp(100, at: 1), .tcp(100, at: 101), .udp(100), .udp(100)],
            [[0], [1], [2], [3]], coalescing: []),
        Row(
            "only UDP", [.tcp(100, at: 1), .tcp(100, at: 101), .udp(100), .udp(100)],
            [[0], [1], [2, 3]], coalescing: .udp),
        Row(
            "more flows than the table holds",
            (0..<40).map { (index: UInt8) -> TestPacket in
                .udp(100, number: UInt16(index / 20), to: 10 + index % 20)
            }, (0..<40).map { [$0] }),
    ]
}
