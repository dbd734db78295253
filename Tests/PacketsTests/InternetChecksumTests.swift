import Testing

@testable import Packets

@Suite("Internet checksum")
struct InternetChecksumTests {
    @Test("the example of RFC 1071 sums to ddf2")
    func example() {
        let buffer = PacketBuffer([0x00, 0x01, 0xF2, 0x03, 0xF4, 0xF5, 0xF6, 0xF7])
        var sum = InternetChecksum()
        sum.add(buffer.bytes, from: 0, count: 8)
        #expect(sum.folded == 0xDDF2)
        #expect(sum.checksum == ~0xDDF2)
    }

    @Test("every length at odd and even offsets equals the simple sum")
    func lengths() {
        var random = SeededRandom(seed: 1)
        let bytes = random.bytes(400)
        let buffer = PacketBuffer(bytes)
        for offset in 0..<5 {
            for count in 0...(bytes.count - offset) {
                var sum = InternetChecksum()
                sum.add(buffer.bytes, from: offset, count: count)
                let reference = referenceSum(Array(bytes[offset..<offset + count]))
                #expect(sum.folded == reference, "\(count) bytes at \(offset)")
            }
        }
    }

    @Test("no carry is lost", arguments: [1, 2, 63, 64, 1500, 65_535])
    func carries(count: Int) {
        let buffer = PacketBuffer(Array(repeating: 0xFF, count: count))
        var sum = InternetChecksum()
        sum.add(buffer.bytes, from: 0, count: count)
        #expect(sum.folded == referenceSum(Array(repeating: 0xFF, count: count)))
    }

    @Test("copying gives the same sum and the same bytes, and changes no others")
    func copying() {
        var random = SeededRandom(seed: 2)
        let bytes = random.bytes(300)
        let source = PacketBuffer(bytes)
        for count in 0...290 {
            var target = PacketBuffer(Array(repeating: 0xAA, count: 310))
            var sum = InternetChecksum()
            var span = target.mutableBytes
            sum.add(source.bytes, from: 3, count: count, copyingTo: &span, at: 5)
            let expected = Array(bytes[3..<3 + count])
            #expect(sum.folded == referenceSum(expected))
            let rest: [UInt8] = Array(repeating: 0xAA, count: 305 - count)
            let copied = target.array(0, 310)
            #expect(copied == Array(repeating: 0xAA, count: 5) + expected + rest)
        }
    }

    @Test("adding a field equals adding its bytes")
    func fields() {
        var sum = InternetChecksum()
        sum.add(0x1234 as UInt16)
        sum.add(0xFEDC_BA98 as UInt32)
        #expect(sum.folded == referenceSum([0x12, 0x34, 0xFE, 0xDC, 0xBA, 0x98]))
    }

    @Test("updating a checksum for a changed field equals computing it again (RFC 1624)")
    func update() {
        var random = SeededRandom(seed: 3)
        for _ in 0..<2000 {
            var header = [0x45] + random.bytes(19)
            header.replaceSubrange(10..<12, with: [0, 0])
            let before = referenceChecksum(header)
            let old = UInt16(header[2]) << 8 | UInt16(header[3])
            let new = UInt16.random(in: 0...0xFFFF, using: &random)
            header.replaceSubrange(2..<4, with: new.bytes)
            let updated = InternetChecksum.updated(before, from: old, to: new)
            #expect(updated == referenceChecksum(header))
        }
    }

    @Test("a UDP checksum of zero is sent as ffff, others unchanged")
    func udp() {
        var sum = InternetChecksum()
        sum.add(0xFFFF as UInt16)
        #expect(sum.checksum == 0)
        #expect(sum.udpChecksum == 0xFFFF)
        #expect(sum.isCorrect)
        sum.add(1 as UInt16)
        #expect(sum.udpChecksum == 0xFFFE)
        #expect(!sum.isCorrect)
    }
}
