import Testing

@testable import Packets

@Suite("ICMP unreachable")
struct ICMPUnreachableTests {
    @Test("IPv4: host unreachable, from the destination of the packet", arguments: [0, 32, 1400])
    func version4(payload: Int) {
        let offending = TestPacket.udp(payload).bytes
        let answer = answer(to: offending)
        let quoted = min(offending.count, 548)
        #expect(answer?.count == 28 + quoted)
        guard let answer else { return }
        #expect(answer[0] == 0x45)
        #expect(Array(answer[2..<4]) == UInt16(28 + quoted).bytes)
        #expect(answer[8] == 64)
        #expect(answer[9] == 1)
        #expect(Array(answer[12..<16]) == [192, 0, 2, 2])
        #expect(Array(answer[16..<20]) == [192, 0, 2, 1])
        #expect(referenceSum(Array(answer[..<20])) == 0xFFFF)
        #expect(Array(answer[20..<22]) == [3, 1])
        #expect(Array(answer[24..<28]) == [0, 0, 0, 0])
        #expect(referenceSum(Array(answer[20...])) == 0xFFFF)
        #expect(Array(answer[28...]) == Array(offending[..<quoted]))
    }

    @Test(
        "IPv6: address unreachable, from the destination of the packet", arguments: [0, 32, 1400])
    func version6(payload: Int) {
        let offending = TestPacket.udp(payload).overVersion6.bytes
        let answer = answer(to: offending)
        let quoted = min(offending.count, 1232)
        #expect(answer?.count == 48 + quoted)
        guard let answer else { return }
        #expect(Array(answer[..<4]) == [0x60, 0, 0, 0])
        #expect(Array(answer[4..<6]) == UInt16(8 + quoted).bytes)
        #expect(Array(answer[6..<8]) == [58, 64])
        #expect(Array(answer[8..<24]) == Array(offending[24..<40]))
        #expect(Array(answer[24..<40]) == Array(offending[8..<24]))
        #expect(Array(answer[40..<42]) == [1, 3])
        #expect(Array(answer[44..<48]) == [0, 0, 0, 0])
        let pseudo: [UInt8] = Array(answer[8..<40]) + UInt32(8 + quoted).bytes + [0, 0, 0, 58]
        #expect(referenceSum(pseudo + Array(answer[40...])) == 0xFFFF)
        #expect(Array(answer[48...]) == Array(offending[..<quoted]))
    }

    @Test("padding after the packet is not quoted")
    func padding() {
        let offending = TestPacket.udp(1).bytes
        #expect(answer(to: offending + [0, 0, 0])?.count == 28 + offending.count)
    }

    /// A change to a UDP packet with 8 payload bytes, and whether there is a reply.
    struct Row: TestRow {
        var claim: String
        var isVersion6 = false
        var changes: [(at: Int, bytes: [UInt8])]
        var isAnswered = false
    }

    private static let zeros: [UInt8] = Array(repeating: 0, count: 16)

    static let rows = [
        Row(claim: "from 0.0.0.0", changes: [(12, [0, 0, 0, 0])]),
        Row(claim: "from loopback", changes: [(12, [127, 0, 0, 1])]),
        Row(claim: "from multicast", changes: [(12, [224, 0, 0, 1])]),
        Row(claim: "from broadcast", changes: [(12, [255, 255, 255, 255])]),
        Row(claim: "to multicast", changes: [(16, [239, 255, 255, 250])]),
        Row(claim: "to broadcast", changes: [(16, [255, 255, 255, 255])]),
        Row(claim: "to unspecified", changes: [(16, [0, 0, 0, 0])]),
        Row(claim: "first fragment", changes: [(6, [0x20, 0])], isAnswered: true),
        Row(claim: "later fragment", changes: [(6, [0x20, 1])]),
        Row(claim: "last fragment", changes: [(6, [0, 1])]),
        Row(claim: "echo", changes: [(9, [1]), (20, [8])], isAnswered: true),
        Row(claim: "echo reply", changes: [(9, [1]), (20, [0])], isAnswered: true),
        Row(claim: "timestamp", changes: [(9, [1]), (20, [13])], isAnswered: true),
        Row(claim: "unreachable", changes: [(9, [1]), (20, [3])]),
        Row(claim: "source quench", changes: [(9, [1]), (20, [4])]),
        Row(claim: "redirect", changes: [(9, [1]), (20, [5])]),
        Row(claim: "time exceeded", changes: [(9, [1]), (20, [11])]),
        Row(claim: "parameter problem", changes: [(9, [1]), (20, [12])]),
        Row(claim: "unknown ICMP", changes: [(9, [1]), (20, [99])]),
        Row(claim: "ICMP without a type", changes: [(9, [1]), (2, [0, 20])]),
        Row(claim: "total length beyond", changes: [(2, [1, 0])]),
        Row(claim: "v6 from ::", isVersion6: true, changes: [(8, zeros)]),
        Row(claim: "v6 from ::1", isVersion6: true, changes: [(8, zeros.dropLast() + [1])]),
        Row(claim: "v6 from multicast", isVersion6: true, changes: [(8, [0xFF, 2])]),
        Row(claim: "v6 to multicast", isVersion6: true, changes: [(24, [0xFF, 2])]),
        Row(claim: "v6 to ::", isVersion6: true, changes: [(24, zeros)]),
        Row(
            claim: "v6 echo", isVersion6: true, changes: [(6, [58]), (40, [128])], isAnswered: true),
        Row(claim: "v6 too big", isVersion6: true, changes: [(6, [58]), (40, [2])]),
        Row(claim: "v6 redirect", isVersion6: true, changes: [(6, [58]), (40, [137])]),
        Row(
            claim: "v6 first fragment", isVersion6: true,
            changes: [(6, [44]), (40, [17, 0, 0, 1, 0, 0, 0, 9])], isAnswered: true),
        Row(
            claim: "v6 later fragment", isVersion6: true,
            changes: [(6, [44]), (40, [17, 0, 0, 8, 0, 0, 0, 9])]),
        Row(
            claim: "v6 error behind options", isVersion6: true,
            changes: [(6, [60]), (40, [58, 0, 0, 0, 0, 0, 0, 0, 1])]),
        Row(
            claim: "v6 options beyond the packet", isVersion6: true,
            changes: [(6, [60]), (40, [58, 9])]),
        Row(
            claim: "v6 ICMP without a type", isVersion6: true,
            changes: [(6, [60]), (40, [58, 1, 0, 0, 0, 0, 0, 0])]),
    ]

    @Test("only packets from one host to another get a reply (RFC 1122, RFC 4443)", arguments: rows)
    func eligibility(row: Row) {
        var bytes = TestPacket.udp(8).with { $0.isVersion6 = row.isVersion6 }.bytes
        for change in row.changes {
            bytes.replaceSubrange(change.at..<change.at + change.bytes.count, with: change.bytes)
        }
        #expect((answer(to: bytes) != nil) == row.isAnswered)
    }

    private func answer(to offending: [UInt8]) -> [UInt8]? {
        let source = PacketBuffer(offending)
        var target = PacketBuffer(byteCount: 3 + ICMPUnreachable.maximumLength)
        var span = target.mutableBytes
        let length = ICMPUnreachable.write(
            for: source.bytes, at: 0, length: offending.count, into: &span, at: 3)
        guard let length else { return nil }
        return target.array(3, length)
    }
}
