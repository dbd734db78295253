/// The version of the Internet Protocol: the upper four bits of the first byte of a packet.
package enum IPVersion: UInt8, Sendable {
    /// IPv4.
    case v4 = 4
    /// IPv6.
    case v6 = 6
}

/// The assigned number of a protocol that IP carries, or of an IPv6 extension header.
package struct IPProtocol: RawRepresentable, Equatable, Sendable {
    package let rawValue: UInt8

    @inlinable
    package init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    /// ICMP.
    @inlinable package static var icmp: IPProtocol { IPProtocol(rawValue: 1) }
    /// TCP.
    @inlinable package static var tcp: IPProtocol { IPProtocol(rawValue: 6) }
    /// UDP.
    @inlinable package static var udp: IPProtocol { IPProtocol(rawValue: 17) }
    /// The IPv6 fragment header.
    @inlinable package static var fragment: IPProtocol { IPProtocol(rawValue: 44) }
    /// ICMPv6.
    @inlinable package static var icmpv6: IPProtocol { IPProtocol(rawValue: 58) }
}

/// The fields of an IP header, parsed once from untrusted bytes.
package struct IPHeader: Equatable, Sendable {
    /// The version, and the family of the addresses.
    package let version: IPVersion
    /// The length of the header in bytes, with IPv4 options, without IPv6 extension headers.
    package let headerLength: Int
    /// The length of the packet in bytes according to its header, at most the number of bytes available.
    package let totalLength: Int
    /// The source address.
    package let source: IPAddress
    /// The destination address.
    package let destination: IPAddress
    /// The protocol; for IPv6 the next header, which may be an extension header.
    package let protocolNumber: IPProtocol
    /// DSCP and ECN: the type of service or traffic class.
    package let trafficClass: UInt8
    /// Whether the packet is a fragment; for IPv6, whether a fragment header comes next.
    package let isFragment: Bool

    /// Parses the header of the packet of `length` bytes at `offset`.
    ///
    /// Nil if it is malformed: another version, a truncated header, or a packet length that is less than
    /// the header or more than `length`.
    package init?(_ bytes: RawSpan, at offset: Int, length: Int) {
        guard let lengths = Lengths(bytes, at: offset, length: length) else { return nil }
        version = lengths.version
        headerLength = lengths.header
        totalLength = lengths.total
        switch lengths.version {
        case .v4:
            source = Self.address4(bytes, at: offset + 12)
            destination = Self.address4(bytes, at: offset + 16)
            protocolNumber = IPProtocol(rawValue: bytes.byte(at: offset + 9))
            trafficClass = bytes.byte(at: offset + 1)
            // The flag "more fragments", or an offset.
            isFragment = bytes.loadBigEndian(at: offset + 6, as: UInt16.self) & 0x3FFF != 0
        case .v6:
            source = Self.address6(bytes, at: offset + 8)
            destination = Self.address6(bytes, at: offset + 24)
            protocolNumber = IPProtocol(rawValue: bytes.byte(at: offset + 6))
            let word = bytes.loadBigEndian(at: offset, as: UInt16.self)
            trafficClass = UInt8(truncatingIfNeeded: word >> 4)
            isFragment = protocolNumber == .fragment
        }
    }

    /// Parses only the destination, for outbound packets. Nil whenever `init` returns nil.
    @inlinable
    package static func destination(
        in bytes: RawSpan, at offset: Int, length: Int
    ) -> IPAddress? {
        guard let lengths = Lengths(bytes, at: offset, length: length) else { return nil }
        return switch lengths.version {
        case .v4: address4(bytes, at: offset + 16)
        case .v6: address6(bytes, at: offset + 24)
        }
    }

    /// Parses only the source and the packet length, for inbound packets. Bytes after that length are
    /// WireGuard's padding. Nil whenever `init` returns nil.
    @inlinable
    package static func sourceAndLength(
        in bytes: RawSpan, at offset: Int, length: Int
    ) -> (source: IPAddress, totalLength: Int)? {
        guard let lengths = Lengths(bytes, at: offset, length: length) else { return nil }
        return switch lengths.version {
        case .v4: (address4(bytes, at: offset + 12), lengths.total)
        case .v6: (address6(bytes, at: offset + 8), lengths.total)
        }
    }

    @inlinable @inline(always)
    static func address4(_ bytes: RawSpan, at offset: Int) -> IPAddress {
        .v4(IPv4Address(bits: bytes.loadBigEndian(at: offset, as: UInt32.self)))
    }

    @inlinable @inline(always)
    static func address6(_ bytes: RawSpan, at offset: Int) -> IPAddress {
        .v6(
            IPv6Address(
                high: bytes.loadBigEndian(at: offset, as: UInt64.self),
                low: bytes.loadBigEndian(at: offset + 8, as: UInt64.self)))
    }

    /// The version and the lengths, checked against the bytes available.
    @usableFromInline
    struct Lengths {
        @usableFromInline let version: IPVersion
        @usableFromInline let header: Int
        @usableFromInline let total: Int

        @inlinable @inline(always)
        init?(_ bytes: RawSpan, at offset: Int, length: Int) {
            guard offset >= 0, length >= IPHeader.shortestLength4,
                length <= bytes.byteCount &- offset
            else { return nil }
            let first = bytes.byte(at: offset)
            switch first >> 4 {
            case IPVersion.v4.rawValue:
                version = .v4
                header = Int(first & 0xF) &* 4
                total = Int(bytes.loadBigEndian(at: offset &+ 2, as: UInt16.self))
            case IPVersion.v6.rawValue:
                guard length >= IPHeader.length6 else { return nil }
                version = .v6
                header = IPHeader.length6
                total = header &+ Int(bytes.loadBigEndian(at: offset &+ 4, as: UInt16.self))
            default:
                return nil
            }
            guard header >= IPHeader.shortestLength4, header <= total, total <= length else {
                return nil
            }
        }
    }

    /// The length of an IPv4 header without options in bytes.
    @inlinable package static var shortestLength4: Int { 20 }
    /// The length of the fixed IPv6 header in bytes.
    @inlinable package static var length6: Int { 40 }
}
