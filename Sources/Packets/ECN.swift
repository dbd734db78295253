/// Explicit congestion notification in a tunnel: the lowest two bits of type of service and traffic class.
///
/// Outbound follows RFC 3168, section 9.1.1, full functionality, like the kernel. Inbound follows RFC 6040,
/// section 4.2, except that no packet is dropped: a CE mark on a packet that cannot carry it is ignored.
package enum ECN {
    /// Not ECN-capable.
    @inlinable package static var notCapable: UInt8 { 0b00 }
    /// ECT(1).
    @inlinable package static var capable1: UInt8 { 0b01 }
    /// ECT(0).
    @inlinable package static var capable0: UInt8 { 0b10 }
    /// Congestion experienced.
    @inlinable package static var congestionExperienced: UInt8 { 0b11 }

    /// The ECN bits of the outer header for a packet with traffic class `inner`.
    @inlinable
    package static func encapsulated(inner: UInt8) -> UInt8 {
        let bits = inner & 0b11
        return bits == congestionExperienced ? capable0 : bits
    }

    /// The ECN bits of the outer header for the IP packet at `offset`; 0 if it is not an IP packet.
    @inlinable
    package static func encapsulated(packet: RawSpan, at offset: Int, length: Int) -> UInt8 {
        guard offset >= 0, length >= 2, length <= packet.byteCount &- offset else { return 0 }
        return switch packet.byte(at: offset) >> 4 {
        case IPVersion.v4.rawValue: encapsulated(inner: packet.byte(at: offset &+ 1))
        case IPVersion.v6.rawValue: encapsulated(inner: packet.byte(at: offset &+ 1) >> 4)
        default: 0
        }
    }

    /// The ECN bits of a packet with bits `inner` that arrived in a datagram with bits `outer`.
    @inlinable
    package static func decapsulated(outer: UInt8, inner: UInt8) -> UInt8 {
        let inner = inner & 0b11
        return switch (outer & 0b11, inner) {
        case (_, notCapable): inner
        case (congestionExperienced, _): congestionExperienced
        // RFC 6040, figure 4: an outer ECT(1) signals mild congestion (PCN).
        case (capable1, capable0): capable1
        default: inner
        }
    }

    /// Marks the IP packet at `offset` in place, for the traffic class `outer` of its datagram. Bytes that
    /// are not an IP packet do not change.
    @inlinable
    package static func decapsulate(
        outer: UInt8, packet: inout MutableRawSpan, at offset: Int, length: Int
    ) {
        // Fast path for nearly all packets: the outer bits cannot change the inner ones.
        guard outer & 0b01 != 0 else { return }
        mark(outer: outer, packet: &packet, at: offset, length: length)
    }

    @usableFromInline
    static func mark(outer: UInt8, packet: inout MutableRawSpan, at offset: Int, length: Int) {
        guard let header = IPHeader.Lengths(packet.bytes, at: offset, length: length) else {
            return
        }
        let shift: UInt16 = header.version == .v4 ? 0 : 4
        let old = packet.loadBigEndian(at: offset, as: UInt16.self)
        let inner = UInt8(truncatingIfNeeded: old >> shift) & 0b11
        let marked = decapsulated(outer: outer, inner: inner)
        guard marked != inner else { return }
        let new = (old & ~(0b11 << shift)) | (UInt16(marked) << shift)
        packet.store(bigEndian: new, at: offset)
        guard header.version == .v4 else { return }
        let checksum = packet.loadBigEndian(at: offset + 10, as: UInt16.self)
        packet.store(
            bigEndian: InternetChecksum.updated(checksum, from: old, to: new), at: offset + 10)
    }
}
