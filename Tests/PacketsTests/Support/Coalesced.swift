import Packets

/// The writes of a coalescer, and the packets that the kernel would segment them into.
struct Coalesced {
    /// The lengths of the pieces of each write.
    var pieceLengths: [[Int]] = []
    /// The bytes of each write, virtio header first.
    var writes: [[UInt8]] = []
    /// Whether each write is marked as UDP.
    var holdsInnerUDP: [Bool] = []
    /// The packets of each write after `separate`, with their virtio headers.
    var separated: [[[UInt8]]] = []

    /// Puts the packets into a receive buffer with `gap` bytes between them, and coalesces them.
    init(
        _ packets: [[UInt8]], coalescing: FlowCoalescer.Coalescing = [.tcp, .udp], gap: Int = 32
    ) {
        let size = packets.reduce(gap) { $0 + $1.count + gap }
        var buffer = PacketBuffer(byteCount: max(1, size))
        buffer.put(Array(repeating: 0xEE, count: size), at: 0)
        var coalescer = FlowCoalescer(maximumPackets: max(1, packets.count), coalescing: coalescing)
        self.init(packets, in: &buffer, through: &coalescer, gap: gap)
    }

    /// The same with a coalescer that is reused.
    init(
        _ packets: [[UInt8]], in buffer: inout PacketBuffer,
        through coalescer: inout FlowCoalescer, gap: Int = 32
    ) {
        coalescer.removeAll()
        var offset = gap
        for packet in packets {
            buffer.put(packet, at: offset)
            coalescer.append(offset: offset, length: packet.count, in: buffer.bytes)
            offset += packet.count + gap
        }
        var span = buffer.mutableBytes
        coalescer.finish(in: &span)
        for index in 0..<coalescer.writeCount {
            let pieces = coalescer.write(at: index).map { coalescer.piece(at: $0) }
            holdsInnerUDP.append(coalescer.holdsInnerUDP(writeAt: index))
            pieceLengths.append(pieces.map(\.length))
            writes.append(pieces.flatMap { buffer.array($0.offset, $0.length) })
        }
        for index in 0..<coalescer.writeCount {
            var span = buffer.mutableBytes
            coalescer.separate(writeAt: index, in: &span)
            let pieces = coalescer.write(at: index).map { coalescer.piece(at: $0) }
            separated.append(pieces.map { buffer.array($0.offset, $0.length) })
        }
    }

    /// The packets of each write, segmented by ``SegmentPlan``.
    func cutAgain() throws -> [[[UInt8]]] {
        try writes.map { write in
            guard write.count > 10 else { return [[]] }
            let header = VirtioNetHeader(PacketBuffer(write).bytes, at: 0)
            return try cut(Array(write.dropFirst(10)), header ?? VirtioNetHeader())
        }
    }
}
