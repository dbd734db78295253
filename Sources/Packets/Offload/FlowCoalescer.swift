/// Joins packets of one flow into super-packets, so that one write passes many packets to the TUN (GRO).
///
/// The packets stay where they are in the receive buffer. A write is a list of pieces for `writev`: the
/// complete first packet, with a virtio header in front, and the payloads of the packets that follow in the
/// flow.
///
///     … [virtio][IP][TCP][payload 0] … [IP][TCP][payload 1] … [IP][TCP][payload 2] …
///       └────────── piece ─────────┘            └─ piece ─┘            └─ piece ─┘
///
/// Segmenting a super-packet results in the original packets, except for the identification of IPv4 packets
/// with DF, which has no meaning (RFC 6864, section 4.1). Packets of one flow stay in order, and so do
/// packets that cannot be joined.
///
/// To use it, call `append` for each packet, then `finish`, read the writes, and call `removeAll`.
package struct FlowCoalescer: ~Copyable, Sendable {
    /// The protocols to join. Other packets have a write each.
    package var coalescing: Coalescing
    /// The number of packets appended since `removeAll`.
    package private(set) var packetCount = 0
    /// The number of writes.
    package private(set) var writeCount = 0

    /// The packets in order of arrival, each linked to the next one of its write.
    private var packets: FixedArray<Packet>
    /// The writes in order of arrival of their first packets.
    private var writes: FixedArray<Write>
    /// The pieces, grouped by write; valid after `finish`.
    private var pieces: FixedArray<Piece>
    /// The most recent flows, each with the write that its next packet may join.
    private var flows: FixedArray<Flow>
    private var flowCount = 0
    /// The flow of the last segment. The next segment nearly always belongs to it too.
    private var latestFlow = 0
    /// The flow to replace when the table is full.
    private var oldestFlow = 0

    /// Makes storage for `maximumPackets` packets between two calls of `removeAll`.
    package init(maximumPackets: Int, coalescing: Coalescing = [.tcp, .udp]) {
        self.coalescing = coalescing
        // One receive usually brings a hundred of the thousands possible; the other pages stay untouched.
        packets = FixedArray(unwritten: maximumPackets)
        writes = FixedArray(unwritten: maximumPackets)
        pieces = FixedArray(unwritten: maximumPackets)
        flows = FixedArray(repeating: Flow(), count: Self.maximumFlows)
    }

    /// Protocols whose packets can be joined.
    package struct Coalescing: OptionSet, Sendable {
        package let rawValue: UInt8

        @inlinable
        package init(rawValue: UInt8) {
            self.rawValue = rawValue
        }

        /// TCP, if the TUN accepts super-packets of it (`TUN_F_TSO4`, `TUN_F_TSO6`).
        @inlinable package static var tcp: Coalescing { Coalescing(rawValue: 1) }
        /// UDP, if the TUN accepts super-packets of it (`TUN_F_USO4`, `TUN_F_USO6`).
        @inlinable package static var udp: Coalescing { Coalescing(rawValue: 2) }
    }

    /// A range of the receive buffer, in bytes.
    package struct Piece: Equatable, Sendable, BitwiseCopyable {
        package var offset: Int
        package var length: Int

        /// Creates a range.
        package init(offset: Int, length: Int) {
            self.offset = offset
            self.length = length
        }
    }

    /// Whether there is no room for another packet.
    package var isFull: Bool {
        packetCount == packets.count
    }

    /// Appends a packet of `length` bytes, its exact IP length, at `offset` of `buffer`. `finish` overwrites
    /// the 10 bytes before it.
    package mutating func append(offset: Int, length: Int, in buffer: RawSpan) {
        precondition(!isFull && offset >= VirtioNetHeader.byteCount)
        precondition(length >= 0 && length <= buffer.byteCount &- offset)
        let packet = packetCount
        packetCount &+= 1
        packets[packet] = Packet(offset: offset, length: length)

        let segment = Segment(buffer, at: offset, length: length, coalescing: coalescing)
        switch segment.role {
        case .segment:
            add(segment, packet: packet, in: buffer)
            return
        case .loner:
            if let flow = find(segment.key) { flows[flow].canGrow = false }
        case .stranger:
            stopFlows(betweenAddressesOf: segment.key)
        case .outsider: break
        }
        let write = startWrite(packet)
        writes[write].holdsInnerUDP = Self.isInnerUDP(buffer, at: offset, length: length)
    }

    /// Whether a packet that is not joined carries UDP, or may carry it because it is a fragment. Parses
    /// only the fixed header.
    private static func isInnerUDP(_ buffer: RawSpan, at offset: Int, length: Int) -> Bool {
        guard length >= IPHeader.shortestLength4 else { return false }
        switch buffer.byte(at: offset) >> 4 {
        case IPVersion.v4.rawValue:
            return buffer.byte(at: offset &+ 9) == IPProtocol.udp.rawValue
        case IPVersion.v6.rawValue:
            let next = buffer.byte(at: offset &+ 6)
            return next == IPProtocol.udp.rawValue || next == IPProtocol.fragment.rawValue
        default: return false
        }
    }

    /// Completes all writes: sets lengths and checksums of super-packets, virtio headers and pieces.
    package mutating func finish(in buffer: inout MutableRawSpan) {
        var piece = 0
        for index in 0..<writeCount {
            writes[index].firstPiece = piece
            let write = writes[index]
            let head = packets[write.first]
            pieces[piece] = Piece(
                offset: head.offset &- VirtioNetHeader.byteCount,
                length: head.length &+ VirtioNetHeader.byteCount)
            piece &+= 1
            if write.count == 1 {
                VirtioNetHeader().store(in: &buffer, at: head.offset &- VirtioNetHeader.byteCount)
                continue
            }
            write.join(at: head.offset, in: &buffer)
            var next = head.next
            for _ in 1..<write.count {
                let packet = packets[next]
                pieces[piece] = Piece(
                    offset: packet.offset &+ write.headerLength,
                    length: packet.length &- write.headerLength)
                piece &+= 1
                next = packet.next
            }
        }
    }

    /// The pieces of write `index`, as indices for `piece(at:)`. Valid after `finish`.
    package func write(at index: Int) -> Range<Int> {
        precondition(index >= 0 && index < writeCount)
        let write = writes[index]
        return write.firstPiece..<(write.firstPiece &+ write.count)
    }

    /// Whether write `index` is UDP, or a fragment, which is usually UDP.
    package func holdsInnerUDP(writeAt index: Int) -> Bool {
        precondition(index >= 0 && index < writeCount)
        return writes[index].holdsInnerUDP
    }

    /// The range of piece `index` in the buffer. Valid after `finish`.
    package func piece(at index: Int) -> Piece {
        precondition(index >= 0 && index < packetCount)
        return pieces[index]
    }

    /// The pieces with indices in `range`. Valid after `finish`.
    @_lifetime(borrow self)
    package func pieces(in range: Range<Int>) -> Span<Piece> {
        precondition(range.upperBound <= packetCount)
        return pieces.prefix(range.upperBound).extracting(range)
    }

    /// Undoes the joining of write `index`, for a kernel that refuses it. Each of its pieces then is an
    /// original packet with its own virtio header, for a write of its own. Call it after `finish`, and at
    /// most once per write.
    package mutating func separate(writeAt index: Int, in buffer: inout MutableRawSpan) {
        precondition(index >= 0 && index < writeCount)
        let write = writes[index]
        guard write.count > 1 else { return }
        let head = packets[write.first]
        write.restore(at: head.offset, length: head.length, in: &buffer)
        var next = write.first
        for piece in write.firstPiece..<(write.firstPiece &+ write.count) {
            let packet = packets[next]
            let start = packet.offset &- VirtioNetHeader.byteCount
            VirtioNetHeader().store(in: &buffer, at: start)
            pieces[piece] = Piece(
                offset: start, length: packet.length &+ VirtioNetHeader.byteCount)
            next = packet.next
        }
    }

    /// Removes all packets.
    package mutating func removeAll() {
        packetCount = 0
        writeCount = 0
        flowCount = 0
        latestFlow = 0
        oldestFlow = 0
    }
}

extension FlowCoalescer {
    @inline(__always)
    private mutating func add(_ segment: Segment, packet: Int, in buffer: RawSpan) {
        guard let flow = find(segment.key) else {
            let flow = slotForNewFlow()
            startWrite(of: flow, with: segment, packet: packet)
            return
        }
        guard flows[flow].accepts(segment), options(of: segment, match: flow, in: buffer) else {
            startWrite(of: flow, with: segment, packet: packet)
            return
        }
        // The kernel takes the checksums of a super-packet as correct, so packets with incorrect ones
        // must not be joined. The first packet is checked only now, because most writes get no second.
        if !flows[flow].isVerified {
            guard flows[flow].first.hasCorrectChecksums(in: buffer) else {
                startWrite(of: flow, with: segment, packet: packet)
                return
            }
            flows[flow].isVerified = true
        }
        guard segment.hasCorrectChecksums(in: buffer) else {
            let write = startWrite(packet)
            writes[write].holdsInnerUDP = !segment.isTCP
            flows[flow].canGrow = false
            return
        }
        join(segment, to: flow, packet: packet)
    }

    @inline(__always)
    private mutating func join(_ segment: Segment, to flow: Int, packet: Int) {
        let index = flows[flow].write
        packets[writes[index].last].next = packet
        writes[index].last = packet
        writes[index].count &+= 1
        writes[index].length &+= segment.payloadLength
        writes[index].isPushed = segment.isPushed
        flows[flow].advance(over: segment)
    }

    /// Starts a write with `segment`, which the next segment of the flow may join.
    private mutating func startWrite(of flow: Int, with segment: Segment, packet: Int) {
        let write = startWrite(packet)
        writes[write].segmentSize = segment.payloadLength
        writes[write].length = segment.headerLength &+ segment.payloadLength
        writes[write].headerLength = segment.headerLength
        writes[write].transport = segment.transport
        writes[write].isTCP = segment.isTCP
        writes[write].holdsInnerUDP = !segment.isTCP
        flows[flow] = Flow(segment, write: write)
        latestFlow = flow
    }

    private mutating func startWrite(_ packet: Int) -> Int {
        let index = writeCount
        writeCount &+= 1
        writes[index] = Write(packet: packet)
        return index
    }

    @inline(__always)
    private mutating func find(_ key: FlowKey) -> Int? {
        guard flowCount > 0 else { return nil }
        if flows[latestFlow].first.key == key { return latestFlow }
        for index in 0..<flowCount where flows[index].first.key == key {
            latestFlow = index
            return index
        }
        return nil
    }

    private mutating func slotForNewFlow() -> Int {
        if flowCount < flows.count {
            flowCount &+= 1
            return flowCount &- 1
        }
        // The replaced flow keeps its write; its next packet starts a new one.
        let slot = oldestFlow
        oldestFlow = oldestFlow &+ 1 == flows.count ? 0 : oldestFlow &+ 1
        return slot
    }

    private mutating func stopFlows(betweenAddressesOf key: FlowKey) {
        for index in 0..<flowCount where flows[index].first.key.hasAddresses(of: key) {
            flows[index].canGrow = false
        }
    }

    /// Whether the TCP options are equal to those of the first packet of the write.
    @inline(__always)
    private func options(of segment: Segment, match flow: Int, in buffer: RawSpan) -> Bool {
        var at = segment.transport &+ 20
        let first = flows[flow].first.offset
        // The header lengths are equal, and options are padded to words.
        while segment.isTCP && at < segment.headerLength {
            let ours = buffer.loadNative(at: segment.offset &+ at, as: UInt32.self)
            let theirs = buffer.loadNative(at: first &+ at, as: UInt32.self)
            guard ours == theirs else { return false }
            at &+= 4
        }
        return true
    }

    /// The number of flows in the table.
    private static let maximumFlows = 16
}
