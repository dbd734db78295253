import Testing

@testable import Packets

@Suite("Flow coalescer")
struct FlowCoalescerTests {
    /// Packets in order of arrival, and the packets of each write.
    struct Row: TestRow {
        var claim: String
        var packets: [TestPacket]
        var writes: [[Int]]
        var coalescing: FlowCoalescer.Coalescing = [.tcp, .udp]

        init(
            _ claim: String, _ packets: [TestPacket], _ writes: [[Int]],
            coalescing: FlowCoalescer.Coalescing = [.tcp, .udp]
        ) {
            self.claim = claim
            self.packets = packets
            self.writes = writes
            self.coalescing = coalescing
        }
    }

    @Test(
        "only matching packets are joined, in order, and segmenting restores them",
        arguments: wireguardGo + differences + others)
    func joining(row: Row) throws {
        let bytes = row.packets.map(\.bytes)
        let result = Coalesced(bytes, coalescing: row.coalescing)
        let lengths = row.writes.map { write in
            write.enumerated().map { index, packet in
                index == 0 ? 10 + bytes[packet].count : row.packets[packet].payload.count
            }
        }
        #expect(result.pieceLengths == lengths)
        #expect(
            result.separated
                == row.writes.map { $0.map { [0, 0, 0, 0, 0, 0, 0, 0, 0, 0] + bytes[$0] } })

        let again = try result.cutAgain()
        for (packets, write) in zip(again, row.writes) {
            let expected = write.enumerated().map { index, packet in
                // RFC 6864: the identification of packets with DF may change.
                let first = row.packets[write[0]].identification
                let isVersion6 = row.packets[packet].isVersion6
                return row.packets[packet]
                    .with { if !isVersion6 { $0.identification = first &+ UInt16(index) } }.bytes
            }
            #expect(packets == expected)
        }
    }

    @Test(
        "the virtio header and the checksum field are those that the kernel expects",
        arguments: [false, true], [false, true])
    func virtioHeader(isVersion6: Bool, isTCP: Bool) {
        let packets = (0..<3).map { index in
            (isTCP ? TestPacket.tcp(100, at: 1 + 100 * index) : .udp(100, number: UInt16(index)))
                .with {
                    $0.isVersion6 = isVersion6
                    if isTCP { $0.tcpOptions = [1, 1, 1, 1] }
                    if isTCP && index == 2 { $0.flags |= TestPacket.push }
                }
        }
        let result = Coalesced(packets.map(\.bytes))
        let write = result.writes[0]
        #expect(result.writes.count == 1)
        let joined = packets[2].with {
            $0.payload = packets.flatMap(\.payload)
            $0.sequence = 1
            $0.identification = 0
        }
        let header = VirtioNetHeader(PacketBuffer(write).bytes, at: 0)
        #expect(header == joined.virtioHeader(segmentSize: 100))
        #expect(Array(write.dropFirst(10)) == joined.asSuperPacket)
    }

    /// Cases of wireguard-go: a change to a packet with 100 payload bytes, and whether a second one like it
    /// is joined.
    struct Candidate: TestRow {
        var claim: String
        var packet: TestPacket
        var byte: Int?
        var value: UInt8 = 0
        var length: Int?
        var isJoined = false
        var coalescing: FlowCoalescer.Coalescing = [.tcp, .udp]
    }

    static let candidates = [
        Candidate(claim: "tcp4", packet: .tcp(100, at: 1), isJoined: true),
        Candidate(claim: "tcp4 too short", packet: .tcp(100, at: 1), length: 39),
        Candidate(claim: "IP header of 24 bytes", packet: .tcp(100, at: 1), byte: 0, value: 0x46),
        Candidate(claim: "GRE", packet: .tcp(100, at: 1), byte: 9, value: 47),
        Candidate(claim: "tcp6", packet: .tcp(100, at: 1).overVersion6, isJoined: true),
        Candidate(claim: "tcp6 too short", packet: .tcp(100, at: 1).overVersion6, length: 59),
        Candidate(
            claim: "GRE over IPv6", packet: .tcp(100, at: 1).overVersion6, byte: 6, value: 47),
        Candidate(claim: "udp4", packet: .udp(100), isJoined: true),
        Candidate(claim: "udp4 too short", packet: .udp(100), length: 27),
        Candidate(claim: "udp4 not asked for", packet: .udp(100), coalescing: .tcp),
        Candidate(claim: "udp6", packet: .udp(100).overVersion6, isJoined: true),
        Candidate(claim: "udp6 too short", packet: .udp(100).overVersion6, length: 47),
        Candidate(claim: "version 0", packet: .tcp(100, at: 1), byte: 0, value: 0x05),
        Candidate(claim: "nothing", packet: .tcp(100, at: 1), length: 0),
        Candidate(
            claim: "hop-by-hop options", packet: .udp(100).overVersion6, byte: 6, value: 0),
        Candidate(claim: "longer than the IP length", packet: .udp(100), byte: 3, value: 127),
        Candidate(claim: "longer than the UDP length", packet: .udp(100), byte: 25, value: 107),
        Candidate(claim: "TCP header of 16 bytes", packet: .tcp(100, at: 1), byte: 32, value: 64),
        Candidate(claim: "TCP header too long", packet: .tcp(10, at: 1), byte: 32, value: 0xF0),
    ]

    @Test(
        "only complete TCP and UDP packets are joined, and others pass unchanged",
        arguments: candidates)
    func candidate(row: Candidate) {
        let second = row.packet.with {
            $0.sequence += UInt32($0.payload.count)
            $0.identification += 1
        }
        let packets = [row.packet, second].map { packet in
            var bytes = packet.bytes
            if let byte = row.byte { bytes[byte] = row.value }
            return Array(bytes.prefix(row.length ?? bytes.count))
        }
        let result = Coalesced(packets, coalescing: row.coalescing)
        #expect(result.writes.count == (row.isJoined ? 1 : 2))
        if !row.isJoined {
            let zeros: [UInt8] = Array(repeating: 0, count: 10)
            #expect(result.writes == packets.map { zeros + $0 })
        }
    }

    @Test(
        "writes of UDP are marked when joining is disabled",
        arguments: [false, true], [[], .tcp] as [FlowCoalescer.Coalescing])
    func datagramsAlone(isVersion6: Bool, coalescing: FlowCoalescer.Coalescing) {
        let packets: [TestPacket] = [.udp(100), .tcp(100, at: 1), .tcp(0, at: 101), .udp(0)]
        let result = Coalesced(
            packets.map { $0.with { $0.isVersion6 = isVersion6 }.bytes } + [[0x45], [0x60]],
            coalescing: coalescing)
        #expect(result.holdsInnerUDP == [true, false, false, true, false, false])
    }

    @Test("writes of UDP are marked, joined or not", arguments: [false, true])
    func datagrams(isVersion6: Bool) {
        let packets: [TestPacket] = [
            .udp(100, number: 0), .udp(100, number: 1), .tcp(100, at: 1), .tcp(100, at: 101),
            .tcp(0, at: 201), .udp(50, number: 2), .udp(100, number: 3),
        ]
        let result = Coalesced(packets.map { $0.with { $0.isVersion6 = isVersion6 }.bytes })
        // Three datagrams, the last of them shorter; two segments; an acknowledgment; a datagram.
        #expect(result.pieceLengths.map(\.count) == [3, 2, 1, 1])
        #expect(result.holdsInnerUDP == [true, false, false, true])
    }

    @Test("bytes that are not a packet still have a write")
    func ofNothing() {
        let result = Coalesced([[], [0x45], [0x60]])
        #expect(result.pieceLengths == [[10], [11], [11]])
    }

    @Test("after removeAll the coalescer is empty")
    func reuse() {
        var buffer = PacketBuffer(byteCount: 4096)
        var coalescer = FlowCoalescer(maximumPackets: 2)
        let first = TestPacket.tcp(100, at: 1).bytes
        let second = TestPacket.tcp(100, at: 101).bytes
        let before = Coalesced([first], in: &buffer, through: &coalescer)
        let after = Coalesced([second, first], in: &buffer, through: &coalescer)
        let counts = [before.writes.count, after.writes.count]
        #expect(counts == [1, 2])
        let isFull = coalescer.isFull
        #expect(isFull)
    }
}
