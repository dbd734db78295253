/// The reply to a packet that no peer accepts: ICMPv4 host unreachable (type 3, code 1) or ICMPv6 address
/// unreachable (type 1, code 3), like the kernel's WireGuard sends.
///
/// Its source is the destination of the packet. With an address of the host as source, the kernel would drop
/// the reply as a martian when it arrives from the TUN.
package enum ICMPUnreachable {
    /// The maximum length of a reply in bytes.
    package static var maximumLength: Int { 1280 }

    /// Writes the reply to the IP packet of `length` bytes at `offset` to `answer` at `target`, where
    /// `maximumLength` bytes must be available.
    ///
    /// - Returns: the length of the reply in bytes, or nil if none may be sent (RFC 1122, section 3.2.2, and
    ///   RFC 4443, section 2.4 (e)): the packet is malformed, an ICMP error, a fragment other than the
    ///   first, or not from one host to another.
    package static func write(
        for offending: RawSpan, at offset: Int, length: Int,
        into answer: inout MutableRawSpan, at target: Int
    ) -> Int? {
        guard let header = IPHeader(offending, at: offset, length: length) else { return nil }
        switch (header.source, header.destination) {
        case (.v4(let source), .v4(let destination)):
            guard source.isHost, destination.isHost,
                mayBeAnswered4(offending, at: offset, header: header)
            else { return nil }
            let quoted = min(header.totalLength, 576 - 20 - 8)
            answer.copy(quoted, from: offending, at: offset, to: target + 28)
            write4(into: &answer, at: target, quoted: quoted, from: destination, to: source)
            return 28 + quoted
        case (.v6(let source), .v6(let destination)):
            guard source.isHost, destination.isHost,
                mayBeAnswered6(offending, at: offset, header: header)
            else { return nil }
            let quoted = min(header.totalLength, 1280 - 40 - 8)
            answer.copy(quoted, from: offending, at: offset, to: target + 48)
            write6(into: &answer, at: target, quoted: quoted, from: destination, to: source)
            return 48 + quoted
        default:
            return nil
        }
    }

    private static func mayBeAnswered4(
        _ bytes: RawSpan, at offset: Int, header: IPHeader
    ) -> Bool {
        let fragment = bytes.loadBigEndian(at: offset + 6, as: UInt16.self)
        guard fragment & 0x1FFF == 0 else { return false }
        guard header.protocolNumber == .icmp else { return true }
        guard header.totalLength > header.headerLength else { return false }
        switch bytes.byte(at: offset + header.headerLength) {
        // Queries and their replies: echo, router discovery, timestamp, information and address mask.
        case 0, 8, 9, 10, 13...18: return true
        default: return false
        }
    }

    private static func mayBeAnswered6(
        _ bytes: RawSpan, at offset: Int, header: IPHeader
    ) -> Bool {
        guard
            let transport = IPv6Transport(
                bytes, at: offset, next: header.protocolNumber, length: header.totalLength),
            !transport.isLaterFragment
        else { return false }
        guard transport.protocolNumber == .icmpv6 else { return true }
        guard transport.offset < header.totalLength else { return false }
        let type = bytes.byte(at: offset + transport.offset)
        // Types below 128 are errors; 137 is a redirect.
        return type >= 128 && type != 137
    }

    private static func write4(
        into answer: inout MutableRawSpan, at target: Int, quoted: Int,
        from source: IPv4Address, to destination: IPv4Address
    ) {
        // Version 4, 5 words; DSCP internetwork control, like the ICMP errors of the kernel.
        answer.store(bigEndian: 0x45C0 as UInt16, at: target)
        answer.store(bigEndian: UInt16(28 + quoted), at: target + 2)
        // An atomic datagram (RFC 6864): no identification, don't fragment.
        answer.store(bigEndian: 0x0000_4000 as UInt32, at: target + 4)
        answer.store(byte: 64, at: target + 8)
        answer.store(byte: IPProtocol.icmp.rawValue, at: target + 9)
        answer.store(bigEndian: 0 as UInt16, at: target + 10)
        answer.store(bigEndian: source.bits, at: target + 12)
        answer.store(bigEndian: destination.bits, at: target + 16)
        var sum = InternetChecksum()
        sum.add(answer.bytes, from: target, count: 20)
        answer.store(bigEndian: sum.checksum, at: target + 10)

        // Destination unreachable, host unreachable; the checksum and the unused bytes are zero.
        answer.store(bigEndian: 0x0301_0000_0000_0000 as UInt64, at: target + 20)
        sum = InternetChecksum()
        sum.add(answer.bytes, from: target + 20, count: 8 + quoted)
        answer.store(bigEndian: sum.checksum, at: target + 22)
    }

    private static func write6(
        into answer: inout MutableRawSpan, at target: Int, quoted: Int,
        from source: IPv6Address, to destination: IPv6Address
    ) {
        let length = UInt16(8 + quoted)
        answer.store(bigEndian: 0x6000_0000 as UInt32, at: target)
        answer.store(bigEndian: length, at: target + 4)
        answer.store(byte: IPProtocol.icmpv6.rawValue, at: target + 6)
        answer.store(byte: 64, at: target + 7)
        answer.store(bigEndian: source.high, at: target + 8)
        answer.store(bigEndian: source.low, at: target + 16)
        answer.store(bigEndian: destination.high, at: target + 24)
        answer.store(bigEndian: destination.low, at: target + 32)
        // Destination unreachable, address unreachable; the checksum and the unused bytes are zero.
        answer.store(bigEndian: 0x0103_0000_0000_0000 as UInt64, at: target + 40)
        var sum = InternetChecksum()
        // Pseudo-header (RFC 8200, section 8.1): addresses, length, protocol.
        sum.add(answer.bytes, from: target + 8, count: 32 + 8 + quoted)
        sum.add(length)
        sum.add(UInt16(IPProtocol.icmpv6.rawValue))
        answer.store(bigEndian: sum.checksum, at: target + 42)
    }
}

extension IPv4Address {
    /// Whether the address can belong to a single remote host: it is not "this network" (0/8), loopback,
    /// multicast, reserved or broadcast.
    fileprivate var isHost: Bool {
        let first = bits >> 24
        return first != 0 && first != 127 && first < 224
    }
}

extension IPv6Address {
    /// Whether the address can belong to a single remote host: it is not unspecified, loopback or
    /// multicast.
    fileprivate var isHost: Bool {
        !(high == 0 && low <= 1) && high >> 56 != 0xFF
    }
}
