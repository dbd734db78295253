import Testing

@testable import Packets

@Suite("IP header")
struct IPHeaderTests {
    @Test("the fields of an IPv4 header")
    func version4() throws {
        let packet = TestPacket.udp(32).with {
            $0.trafficClass = 0x8B
            $0.ipOptions = [1, 1, 1, 0]
        }
        let buffer = PacketBuffer([0xFF, 0xFF] + packet.bytes + [0, 0, 0])
        let read = IPHeader(buffer.bytes, at: 2, length: packet.bytes.count + 3)
        let header = try #require(read)
        #expect(header.version == .v4)
        #expect(header.headerLength == 24)
        #expect(header.totalLength == 24 + 8 + 32)
        #expect(header.source == .v4(IPv4Address(bits: 0xC000_0201)))
        #expect(header.destination == .v4(IPv4Address(bits: 0xC000_0202)))
        #expect(header.protocolNumber == .udp)
        #expect(header.trafficClass == 0x8B)
        #expect(!header.isFragment)
    }

    @Test("the fields of an IPv6 header")
    func version6() throws {
        let packet = TestPacket.tcp(9, at: 1).overVersion6.with {
            $0.trafficClass = 0x8B
            $0.flowLabel = 0xFFFFF
        }
        let buffer = PacketBuffer(packet.bytes)
        let read = IPHeader(buffer.bytes, at: 0, length: packet.bytes.count)
        let header = try #require(read)
        #expect(header.version == .v6)
        #expect(header.headerLength == 40)
        #expect(header.totalLength == 40 + 20 + 9)
        #expect(header.source == .v6(IPv6Address(high: 0x2001_0DB8_0000_0000, low: 1)))
        #expect(header.destination == .v6(IPv6Address(high: 0x2001_0DB8_0000_0000, low: 2)))
        #expect(header.protocolNumber == .tcp)
        #expect(header.trafficClass == 0x8B)
        #expect(!header.isFragment)
    }

    @Test(
        "IPv4 fragments are those with MF or an offset",
        arguments: [(0, false), (0x4000, false), (0x8000, false), (0x2000, true), (1, true)])
    func fragments(word: UInt16, isFragment: Bool) {
        let packet = TestPacket.udp(32).with { $0.fragment = word }
        let buffer = PacketBuffer(packet.bytes)
        let header = IPHeader(buffer.bytes, at: 0, length: packet.bytes.count)
        #expect(header?.isFragment == isFragment)
    }

    /// A change to a valid packet (28 bytes for IPv4, 48 for IPv6), the available length, and the parsed
    /// total length, nil if the header is invalid.
    struct Row: TestRow {
        var claim: String
        var isVersion6 = false
        var byte: Int?
        var value: UInt8 = 0
        var length: Int
        var total: Int?
    }

    static let rows = [
        Row(claim: "exact", length: 28, total: 28),
        Row(claim: "padded", length: 44, total: 28),
        Row(claim: "one byte short", length: 27),
        Row(claim: "no header", length: 19),
        Row(claim: "nothing", length: 0),
        Row(claim: "version 0", byte: 0, value: 0x05, length: 28),
        Row(claim: "version 5", byte: 0, value: 0x55, length: 28),
        Row(claim: "version 15", byte: 0, value: 0xF5, length: 28),
        Row(claim: "header of 16 bytes", byte: 0, value: 0x44, length: 28),
        Row(claim: "header fills the packet", byte: 0, value: 0x47, length: 28, total: 28),
        Row(claim: "header beyond the packet", byte: 0, value: 0x48, length: 28),
        Row(claim: "total below header", byte: 3, value: 19, length: 28),
        Row(claim: "total is the header", byte: 3, value: 20, length: 28, total: 20),
        Row(claim: "total of 0", byte: 3, value: 0, length: 28),
        Row(claim: "total beyond", byte: 3, value: 29, length: 28),
        Row(claim: "v6 exact", isVersion6: true, length: 48, total: 48),
        Row(claim: "v6 padded", isVersion6: true, length: 64, total: 48),
        Row(claim: "v6 one byte short", isVersion6: true, length: 47),
        Row(claim: "v6 no header", isVersion6: true, length: 39),
        Row(claim: "v6 no payload", isVersion6: true, byte: 5, value: 0, length: 48, total: 40),
        Row(claim: "v6 payload beyond", isVersion6: true, byte: 5, value: 9, length: 48),
        Row(claim: "v6 payload far beyond", isVersion6: true, byte: 4, value: 255, length: 48),
    ]

    @Test("all three parsers accept only a header that fits", arguments: rows)
    func malformed(row: Row) {
        let packet = TestPacket.udp(0).with { $0.isVersion6 = row.isVersion6 }
        var bytes = packet.bytes
        if let byte = row.byte { bytes[byte] = row.value }
        let buffer = PacketBuffer(bytes + Array(repeating: 0, count: 64))
        let header = IPHeader(buffer.bytes, at: 0, length: row.length)
        let destination = IPHeader.destination(in: buffer.bytes, at: 0, length: row.length)
        let inbound = IPHeader.sourceAndLength(in: buffer.bytes, at: 0, length: row.length)
        #expect(header?.totalLength == row.total)
        #expect(inbound?.totalLength == row.total)
        #expect(inbound?.source == header?.source)
        #expect(destination == header?.destination)
        #expect((destination == nil) == (row.total == nil))
    }

    @Test("a range outside of the bytes is not a packet")
    func outside() {
        let buffer = PacketBuffer(TestPacket.udp(0).bytes)
        #expect(IPHeader(buffer.bytes, at: -1, length: 28) == nil)
        #expect(IPHeader(buffer.bytes, at: 1, length: 28) == nil)
        #expect(IPHeader(buffer.bytes, at: 100, length: 28) == nil)
        #expect(IPHeader(buffer.bytes, at: 0, length: .max) == nil)
        #expect(IPHeader(buffer.bytes, at: 0, length: -5) == nil)
    }
}

@Suite("IPv6 transport header")
struct IPv6TransportTests {
    /// Extension headers before 8 bytes of UDP, and the expected result.
    struct Row: TestRow {
        var claim: String
        var next: UInt8
        var headers: [UInt8]
        var found: (number: UInt8, offset: Int, isLaterFragment: Bool)?
    }

    static let rows = [
        Row(claim: "none", next: 17, headers: [], found: (17, 40, false)),
        Row(
            claim: "hop-by-hop of 16 bytes", next: 0,
            headers: [17, 1] + Array(repeating: 0, count: 14), found: (17, 56, false)),
        Row(
            claim: "first fragment", next: 44, headers: [17, 0, 0, 1, 0, 0, 0, 1],
            found: (17, 48, false)),
        Row(
            claim: "later fragment", next: 44, headers: [17, 0, 0, 8, 0, 0, 0, 1],
            found: (17, 48, true)),
        Row(
            claim: "authentication of 12 bytes", next: 51,
            headers: [17, 1] + Array(repeating: 0, count: 10), found: (17, 52, false)),
        Row(
            claim: "routing, then destination options", next: 43,
            headers: [60, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0], found: (6, 56, false)),
        Row(
            claim: "beyond the packet", next: 0, headers: [17, 2] + Array(repeating: 0, count: 6),
            found: nil),
        Row(claim: "never ending", next: 60, headers: [60, 0, 0, 0, 0, 0, 0, 0], found: nil),
    ]

    @Test("extension headers are skipped within the packet", arguments: rows)
    func walk(row: Row) {
        var bytes = TestPacket.udp(0).overVersion6.bytes
        bytes[6] = row.next
        bytes[40..<40] = row.headers[...]
        if row.claim == "never ending" {
            bytes.replaceSubrange(48..<56, with: row.headers)
        }
        let buffer = PacketBuffer(bytes)
        let found = IPv6Transport(
            buffer.bytes, at: 0, next: IPProtocol(rawValue: row.next), length: bytes.count)
        #expect(found?.protocolNumber.rawValue == row.found?.number)
        #expect(found?.offset == row.found?.offset)
        #expect(found?.isLaterFragment == row.found?.isLaterFragment)
    }
}
