import Testing

@testable import Packets

@Suite("ECN through the tunnel")
struct ECNTests {
    @Test(
        "the outer bits equal the inner ones, except that CE becomes ECT(0)",
        arguments: [(0b00, 0b00), (0b01, 0b01), (0b10, 0b10), (0b11, 0b10)])
    func encapsulation(inner: UInt8, outer: UInt8) {
        // DSCP is not copied.
        #expect(ECN.encapsulated(inner: inner | 0xB8) == outer)
        for isVersion6 in [false, true] {
            let packet = TestPacket.udp(1).with {
                $0.trafficClass = inner | 0xB8
                $0.isVersion6 = isVersion6
                $0.flowLabel = 0xFFFFF
            }
            let buffer = PacketBuffer(packet.bytes)
            let bits = ECN.encapsulated(
                packet: buffer.bytes, at: 0, length: packet.bytes.count)
            #expect(bits == outer)
        }
    }

    /// RFC 6040, figure 4: rows are inner bits and columns are outer bits (Not-ECT, ECT(1), ECT(0), CE),
    /// except that CE over Not-ECT is not dropped.
    static let decapsulations: [[UInt8]] = [
        [0b00, 0b00, 0b00, 0b00],
        [0b01, 0b01, 0b01, 0b11],
        [0b10, 0b01, 0b10, 0b11],
        [0b11, 0b11, 0b11, 0b11],
    ]

    @Test("the inner bits follow RFC 6040, and the header checksum is correct")
    func decapsulation() {
        for inner in UInt8(0)..<4 {
            for outer in UInt8(0)..<4 {
                let expected = Self.decapsulations[Int(inner)][Int(outer)]
                for isVersion6 in [false, true] {
                    let packet = TestPacket.udp(5).with {
                        $0.isVersion6 = isVersion6
                        $0.trafficClass = 0x48 | inner
                        $0.flowLabel = 0xABCDE
                    }
                    let marked = packet.with { $0.trafficClass = 0x48 | expected }
                    var buffer = PacketBuffer([7, 7] + packet.bytes)
                    var span = buffer.mutableBytes
                    ECN.decapsulate(
                        outer: outer | 0x88, packet: &span, at: 2, length: packet.bytes.count)
                    let result = buffer.array(2, packet.bytes.count)
                    #expect(result == marked.bytes, "inner \(inner) outer \(outer)")
                }
            }
        }
    }

    @Test(
        "bytes that are not an IP packet do not change",
        arguments: [[], [0x45], [0x45, 2], [0xF5, 2, 0, 0]])
    func garbage(bytes: [UInt8]) {
        var buffer = PacketBuffer(bytes)
        var span = buffer.mutableBytes
        ECN.decapsulate(outer: 3, packet: &span, at: 0, length: bytes.count)
        let bits = ECN.encapsulated(packet: buffer.bytes, at: 0, length: bytes.count)
        #expect(buffer.array(0, bytes.count) == bytes)
        #expect(bits == (bytes.count == 2 ? 2 : 0))
    }
}
