/// The text of an IP address, a prefix or a socket address, without a heap allocation.
///
/// Addresses look as inet_ntop(3) prints them: IPv6 in the shortest form of RFC 5952, IPv4-mapped and
/// IPv4-compatible addresses with dotted decimal at the end.
public struct AddressText: Sendable {
    /// The longest text has 58 bytes: `[`, IPv6 (39), `%`, scope (10), `]:`, port (5).
    private var storage = InlineArray<64, UInt8>(repeating: 0)
    private var count = 0

    /// The text of an address: `192.0.2.1`, `2001:db8::1`.
    public init(_ address: IPAddress) {
        append(address)
    }

    /// The text of a prefix: `192.0.2.0/24`.
    public init(_ prefix: IPPrefix) {
        append(prefix.address)
        append(.slash)
        append(decimal: UInt32(prefix.length))
    }

    /// The text of a socket address: `192.0.2.1:5`, `[2001:db8::1]:5`, `[fe80::1%2]:5`.
    public init(_ address: SocketAddress) {
        switch address.address {
        case .v4:
            append(address.address)
        case .v6:
            append(.openingBracket)
            append(address.address)
            if address.scope != 0 {
                append(.percent)
                append(decimal: address.scope)
            }
            append(.closingBracket)
        }
        append(.colon)
        append(decimal: UInt32(address.port))
    }

    /// The ASCII characters.
    public var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            // Bytes have no padding.
            let all = unsafe storage.span.bytes
            return all.extracting(0..<count)
        }
    }

    /// The text as a string.
    public var string: String {
        String(decoding: (0..<count).map { storage[$0] }, as: UTF8.self)
    }

    private mutating func append(_ address: IPAddress) {
        switch address {
        case .v4(let address): append(address)
        case .v6(let address): append(address)
        }
    }

    private mutating func append(_ address: IPv4Address) {
        append(decimal: address.bits >> 24)
        for shift in stride(from: UInt32(16), through: 0, by: -8) {
            append(.dot)
            append(decimal: address.bits >> shift & 0xFF)
        }
    }

    private mutating func append(_ address: IPv6Address) {
        let gap = Self.longestZeros(of: address)
        // ::ffff:192.0.2.1 and ::192.0.2.1. ::1 has a longer gap, so it stays as it is.
        let endsInIPv4 = gap == 0..<6 || gap == 0..<5 && address.group(5) == 0xFFFF
        var index = 0
        while index < 8 {
            if index == gap.lowerBound, !gap.isEmpty {
                append(.colon)
                index = gap.upperBound
                if index == 8 { append(.colon) }
                continue
            }
            if index > 0 { append(.colon) }
            if index == 6, endsInIPv4 {
                append(IPv4Address(bits: UInt32(truncatingIfNeeded: address.low)))
                return
            }
            append(hexadecimal: address.group(index))
            index &+= 1
        }
    }

    /// The longest sequence of two or more zero groups, the first of several; empty if there is none.
    private static func longestZeros(of address: IPv6Address) -> Range<Int> {
        var longest = 0..<0
        var start = 0
        for index in 0..<8 {
            if address.group(index) != 0 {
                start = index &+ 1
            } else if index &+ 1 &- start > max(longest.count, 1) {
                longest = start..<(index &+ 1)
            }
        }
        return longest
    }

    private mutating func append(hexadecimal group: UInt16) {
        var isSignificant = false
        for shift in stride(from: UInt16(12), through: 0, by: -4) {
            let digit = UInt8(truncatingIfNeeded: group >> shift & 0xF)
            isSignificant = isSignificant || digit != 0 || shift == 0
            if isSignificant { append(digit < 10 ? digit &+ 0x30 : digit &+ 0x57) }
        }
    }

    private mutating func append(decimal value: UInt32) {
        var divisor: UInt32 = 1
        while value / divisor >= 10 { divisor &*= 10 }
        while divisor > 0 {
            append(UInt8(truncatingIfNeeded: value / divisor % 10) &+ .zeroDigit)
            divisor /= 10
        }
    }

    private mutating func append(_ byte: UInt8) {
        storage[count] = byte
        count &+= 1
    }
}

extension IPv6Address {
    /// The 16-bit group at `index`, 0 to 7.
    @inline(__always)
    fileprivate func group(_ index: Int) -> UInt16 {
        let half = index < 4 ? high : low
        return UInt16(truncatingIfNeeded: half >> UInt64(48 &- index % 4 &* 16))
    }
}
