import Packets

/// A super-packet of 44 TCP segments, as a TUN with offloads delivers it, and the packets cut from it.
struct SuperPacket: ~Copyable {
    private let source: PacketBuffer
    private let plan: SegmentPlan
    private var cutPackets = PacketBuffer(byteCount: 44 * stride)
    private var received = PacketBuffer(byteCount: 44 * stride)
    private var coalescer = FlowCoalescer(maximumPackets: 44)

    private static let segmentSize = 1368
    /// IPv4 and TCP headers, with the timestamp option that Linux sends.
    private static let headers: [UInt8] =
        [0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]
        + [0x1F, 0x90, 0x20, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0x80, 0x10, 1, 0, 0, 0, 0, 0]
        + [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]
    /// A packet, and the headroom that the coalescer needs.
    private static let stride = 1488

    init() {
        let length = Self.headers.count + 44 * Self.segmentSize
        var source = PacketBuffer(byteCount: length)
        var span = source.mutableBytes
        for index in 0..<length {
            let byte = index < Self.headers.count ? Self.headers[index] : UInt8(index % 251)
            span.storeBytes(of: byte, toByteOffset: index, as: UInt8.self)
        }
        let virtio = VirtioNetHeader(
            flags: .needsChecksum, segmentation: .tcp4, segmentSize: UInt16(Self.segmentSize),
            checksumStart: 20, checksumOffset: 16)
        guard
            let plan = try? SegmentPlan(virtio, packet: source.bytes, offset: 0, length: length),
            plan.count == 44
        else { preconditionFailure("the headers are wrong") }
        self.source = source
        self.plan = plan
        cut()
    }

    mutating func cut() {
        plan.cutAll(source, into: &cutPackets, stride: Self.stride)
    }

    /// Restores the packets. The coalescer changes their headers.
    mutating func restore() {
        coalescer.removeAll()
        received.copy(cutPackets)
    }

    mutating func coalesce() {
        coalescer.takeAll(plan, from: &received, stride: Self.stride)
        precondition(coalescer.writeCount == 1)
    }

    /// Computes `repetitions` checksums of `count` bytes each, at alternating offsets so that the compiler
    /// cannot reuse a result. The loop is in here because a call for each would cost a quarter of the time.
    func checksums(of count: Int, repeating repetitions: Int) -> UInt16 {
        var all: UInt16 = 0
        for index in 0..<repetitions {
            var sum = InternetChecksum()
            sum.add(source.bytes, from: index & 64, count: count)
            all ^= sum.checksum
        }
        return all
    }
}

extension SegmentPlan {
    fileprivate func cutAll(
        _ source: borrowing PacketBuffer, into target: inout PacketBuffer, stride: Int
    ) {
        var bytes = target.mutableBytes
        for index in 0..<count {
            _ = cut(index, from: source.bytes, into: &bytes, at: index * stride + 16)
        }
    }
}

extension FlowCoalescer {
    fileprivate mutating func takeAll(
        _ plan: SegmentPlan, from buffer: inout PacketBuffer, stride: Int
    ) {
        for index in 0..<plan.count {
            append(offset: index * stride + 16, length: plan.length(of: index), in: buffer.bytes)
        }
        var bytes = buffer.mutableBytes
        finish(in: &bytes)
    }
}
