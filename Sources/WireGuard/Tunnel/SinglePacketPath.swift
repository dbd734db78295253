import Packets

/// Both halves of the packet path for a ``Tunnel``, one packet at a time, with their buffers.
struct SinglePacketPath: ~Copyable {
    private var sealer: Sealer
    private var opener: Opener
    private var coalescer = FlowCoalescer(maximumPackets: 1, coalescing: [])
    private var buffer = PacketBuffer(byteCount: Self.bufferByteCount)
    private var bounceBuffer = PacketBuffer(byteCount: Sealer.bounceByteCount)

    /// Room for the longest packet, 64 KiB, and for the overhead of its message.
    private static let bufferByteCount = 68 << 10

    init(shared: SharedState, gate: SharedState.Gate, jitterSeed: UInt64) {
        sealer = Sealer(shared: shared, gate: gate, jitterSeed: jitterSeed)
        opener = Opener(shared: shared, gate: gate)
    }

    /// Seals a packet, or answers it with an ICMP error.
    mutating func seal(
        _ packet: RawSpan, to datagrams: inout Outputs<Tunnel.Datagram>,
        bouncing packets: inout Outputs<[UInt8]>, now: ObservedInstant
    ) -> Wake {
        guard
            sealer.load(packet, header: VirtioNetHeader(), at: 0, length: packet.byteCount)
        else { return sealer.takeWakeForDrops() }
        defer { sealer.removeAll() }
        let wake = sealer.sealOne(packet, in: &buffer, bouncing: &bounceBuffer, now: now)
        for index in 0..<sealer.transmitCount {
            let transmit = sealer.transmits[index]
            datagrams.append(
                Tunnel.Datagram(
                    bytes: buffer.bytes.copied(transmit.bytes.offset, transmit.bytes.length),
                    remote: transmit.remote, source: transmit.source,
                    trafficClass: transmit.trafficClass))
        }
        for index in 0..<sealer.bounceCount {
            let bounce = sealer.bounces[index]
            packets.append(bounceBuffer.bytes.copied(bounce.offset, bounce.length))
        }
        return wake
    }

    /// Opens a datagram, with the addresses of `message`.
    mutating func open(
        _ datagram: RawSpan, _ message: UDPArrival<SegmentRange>,
        to packets: inout Outputs<[UInt8]>,
        now: ObservedInstant
    ) -> Wake {
        var message = message
        // Longer than any datagram: truncated data has a wrong tag, and other messages have a fixed length.
        message.bytes.length = min(datagram.byteCount, buffer.byteCount)
        defer { coalescer.removeAll() }
        let wake = opener.openOne(
            datagram, message, in: &buffer, into: &coalescer, now: now)
        for index in 0..<coalescer.packetCount {
            let piece = coalescer.piece(at: index)
            packets.append(
                buffer.bytes.copied(
                    piece.offset + VirtioNetHeader.byteCount,
                    piece.length - VirtioNetHeader.byteCount))
        }
        return wake
    }
}

extension Sealer {
    fileprivate mutating func sealOne(
        _ packet: RawSpan, in buffer: inout PacketBuffer,
        bouncing bounceBuffer: inout PacketBuffer, now: ObservedInstant
    ) -> Wake {
        var bytes = buffer.mutableBytes
        var bounceBytes = bounceBuffer.mutableBytes
        _ = cut(from: packet, into: &bytes)
        return seal(in: &bytes, bouncing: &bounceBytes, now: now)
    }
}

extension Opener {
    fileprivate mutating func openOne(
        _ datagram: RawSpan, _ message: UDPArrival<SegmentRange>, in buffer: inout PacketBuffer,
        into coalescer: inout FlowCoalescer, now: ObservedInstant
    ) -> Wake {
        var bytes = buffer.mutableBytes
        bytes.copy(message.bytes.length, from: datagram, at: 0, to: 0)
        let messages = FixedArray(repeating: message, count: 1)
        let wake = open(messages, count: 1, in: &bytes, into: &coalescer, now: now)
        coalescer.finish(in: &bytes)
        return wake
    }
}

extension RawSpan {
    /// A copy of `count` bytes from `offset`, which must be in bounds.
    fileprivate func copied(_ offset: Int, _ count: Int) -> [UInt8] {
        var copy = [UInt8](repeating: 0, count: count)
        var span = copy.mutableSpan
        // Bytes have no padding.
        var bytes = unsafe span.mutableBytes
        bytes.copy(count, from: self, at: offset, to: 0)
        return copy
    }
}
