import Testing

@testable import Packets

@Suite("Virtio header")
struct VirtioNetHeaderTests {
    @Test("a header is 10 bytes in the order of struct virtio_net_hdr")
    func layout() {
        let header = VirtioNetHeader(
            flags: .needsChecksum, segmentation: .tcp6, headerLength: 0x0102,
            segmentSize: 0x0304, checksumStart: 0x0506, checksumOffset: 0x0708)
        var buffer = PacketBuffer(Array(repeating: 0xEE, count: 12))
        var span = buffer.mutableBytes
        header.store(in: &span, at: 1)
        let bytes = buffer.array(0, 12)
        // All supported machines are little-endian.
        #expect(bytes == [0xEE, 1, 4, 2, 1, 4, 3, 6, 5, 8, 7, 0xEE])
        #expect(VirtioNetHeader(buffer.bytes, at: 1) == header)
    }

    @Test("the header of a complete packet is zeros")
    func zeros() {
        var buffer = PacketBuffer(Array(repeating: 0xEE, count: 10))
        var span = buffer.mutableBytes
        VirtioNetHeader().store(in: &span, at: 0)
        let bytes = buffer.array(0, 10)
        #expect(bytes == Array(repeating: 0, count: 10))
    }

    @Test("a truncated header is refused")
    func short() {
        let buffer = PacketBuffer(Array(repeating: 0, count: 10))
        #expect(VirtioNetHeader(buffer.bytes, at: 1) == nil)
        #expect(VirtioNetHeader(buffer.bytes, at: -1) == nil)
        #expect(VirtioNetHeader(buffer.bytes, at: .max) == nil)
    }

    @Test("the ECN bit is separate from the kind")
    func ecn() {
        let marked = VirtioNetHeader.Segmentation(rawValue: 0x81)
        #expect(marked.withoutECN == .tcp4)
    }
}
