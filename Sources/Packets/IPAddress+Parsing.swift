// Parses addresses as strictly as inet_pton(3): no leading zeros in IPv4, at most four digits per group
// in IPv6 (RFC 4291, section 2.2), nothing before or after. Parsing works on bytes and does not allocate,
// because a configuration may name a hundred thousand prefixes.

extension IPv4Address {
    /// Parses dotted decimal, `192.0.2.1`; nil if `text` is anything else.
    public init?(parsing text: RawSpan) {
        self.init(parsing: text, in: 0..<text.byteCount)
    }

    init?(parsing text: RawSpan, in range: Range<Int>) {
        guard range.count >= 7, range.count <= 15 else { return nil }
        var offset = range.lowerBound
        var bits: UInt32 = 0
        for octet in 0..<4 {
            if octet > 0 {
                guard offset < range.upperBound, text.byte(at: offset) == .dot else { return nil }
                offset &+= 1
            }
            let start = offset
            var value: UInt32 = 0
            while offset < range.upperBound, let digit = text.byte(at: offset).decimalDigit {
                // No digit may follow a leading zero: some programs read 010 as octal.
                guard offset == start || value != 0, offset &- start < 3 else { return nil }
                value = value &* 10 &+ UInt32(digit)
                offset &+= 1
            }
            guard offset > start, value <= 255 else { return nil }
            bits = bits << 8 | value
        }
        guard offset == range.upperBound else { return nil }
        self.init(bits: bits)
    }
}

extension IPv6Address {
    /// Parses groups of hexadecimal digits, at most one `::`, and dotted decimal in place of the last two
    /// groups; nil if `text` is anything else. A scope is not part of an address.
    public init?(parsing text: RawSpan) {
        self.init(parsing: text, in: 0..<text.byteCount)
    }

    init?(parsing text: RawSpan, in range: Range<Int>) {
        let end = range.upperBound
        guard range.count >= 2, range.count <= 45 else { return nil }
        var offset = range.lowerBound
        if text.byte(at: offset) == .colon {
            // A colon at the start must be the first of two. The second one is read below.
            offset &+= 1
            guard text.byte(at: offset) == .colon else { return nil }
        }
        var groups = Groups()
        var groupStart = offset
        var value: UInt16 = 0
        var digits = 0
        scan: while offset < end {
            let byte = text.byte(at: offset)
            if let digit = byte.hexadecimalDigit {
                guard digits < 4 else { return nil }
                value = value << 4 | UInt16(digit)
                digits &+= 1
                offset &+= 1
                continue
            }
            switch byte {
            case .colon:
                offset &+= 1
                groupStart = offset
                if digits == 0 {
                    guard groups.markGap() else { return nil }
                    continue
                }
                guard offset < end, groups.append(value) else { return nil }
                (value, digits) = (0, 0)
            case .dot:
                guard let last = IPv4Address(parsing: text, in: groupStart..<end),
                    groups.append(UInt16(truncatingIfNeeded: last.bits >> 16)),
                    groups.append(UInt16(truncatingIfNeeded: last.bits))
                else { return nil }
                digits = 0
                break scan
            default:
                return nil
            }
        }
        if digits > 0 {
            guard groups.append(value) else { return nil }
        }
        guard let address = groups.address else { return nil }
        self = address
    }

    /// The groups parsed so far, before and after the gap that `::` stands for.
    private struct Groups {
        private var high: UInt64 = 0
        private var low: UInt64 = 0
        private var count = 0
        private var gap: Int?

        /// Appends a group; returns false if there are eight.
        mutating func append(_ group: UInt16) -> Bool {
            guard count < 8 else { return false }
            high = high << 16 | low >> 48
            low = low << 16 | UInt64(group)
            count &+= 1
            return true
        }

        /// Records `::`; returns false the second time.
        mutating func markGap() -> Bool {
            guard gap == nil else { return false }
            gap = count
            return true
        }

        /// The address; nil if the number of groups is wrong.
        var address: IPv6Address? {
            guard let gap else {
                return count == 8 ? IPv6Address(high: high, low: low) : nil
            }
            // `::` stands for at least one group.
            guard count < 8 else { return nil }
            let behind = IPv6Address.lowBits((count - gap) * 16)
            // Move the groups before the gap to the start. Those after it are at the end already.
            let all = UInt128(high) << 64 | UInt128(low)
            let bits = (all & ~behind) << UInt128((8 - count) * 16) | all & behind
            return IPv6Address(
                high: UInt64(truncatingIfNeeded: bits >> 64), low: UInt64(truncatingIfNeeded: bits))
        }
    }

    private static func lowBits(_ count: Int) -> UInt128 {
        (1 << UInt128(count)) - 1
    }
}

extension IPAddress {
    /// Parses an address of either family; nil if `text` is anything else.
    public init?(parsing text: RawSpan) {
        self.init(parsing: text, in: 0..<text.byteCount)
    }

    init?(parsing text: RawSpan, in range: Range<Int>) {
        if let address = IPv4Address(parsing: text, in: range) {
            self = .v4(address)
        } else if let address = IPv6Address(parsing: text, in: range) {
            self = .v6(address)
        } else {
            return nil
        }
    }
}

extension IPPrefix {
    /// Parses `address/length`; nil if `text` is anything else. Clears the host bits.
    public init?(parsing text: RawSpan) {
        let end = text.byteCount
        // The length has one to three digits.
        var slash = end &- 1
        while slash > 0, end &- slash < 4, text.byte(at: slash) != .slash { slash &-= 1 }
        guard slash > 0, text.byte(at: slash) == .slash,
            let length = UInt8(parsing: text, in: (slash &+ 1)..<end),
            // As in an IPv4 address, leading zeros are invalid.
            end &- slash == 2 || text.byte(at: slash &+ 1) != .zeroDigit,
            let address = IPAddress(parsing: text, in: 0..<slash)
        else { return nil }
        self.init(address, length: Int(length))
    }
}

extension SocketAddress {
    /// Parses `1.2.3.4:5`, `[2001:db8::1]:5` or `[fe80::1%scope]:5`; nil if `text` is anything else.
    ///
    /// - Parameter resolveScope: returns the index of the interface with a name, nil if there is none. It
    ///   is called for a scope that is not a number.
    public init?(parsing text: RawSpan, resolveScope: (String) -> UInt32?) {
        let end = text.byteCount
        guard let colon = text.lastOffset(of: .colon, in: 0..<end),
            let port = UInt16(parsing: text, in: (colon &+ 1)..<end)
        else { return nil }
        guard text.byte(at: 0) == .openingBracket else {
            guard let address = IPv4Address(parsing: text, in: 0..<colon) else { return nil }
            self.init(address: .v4(address), port: port)
            return
        }
        guard colon >= 2, text.byte(at: colon &- 1) == .closingBracket else { return nil }
        let inside = 1..<(colon &- 1)
        let percent = text.lastOffset(of: .percent, in: inside)
        guard
            let address = IPv6Address(
                parsing: text, in: inside.lowerBound..<(percent ?? inside.upperBound))
        else { return nil }
        var scope: UInt32 = 0
        if let percent {
            let range = (percent &+ 1)..<inside.upperBound
            guard !range.isEmpty,
                let index = UInt32(parsing: text, in: range)
                    ?? text.string(in: range).flatMap(resolveScope)
            else { return nil }
            scope = index
        }
        self.init(address: .v6(address), port: port, scope: scope)
    }
}

extension FixedWidthInteger where Self: UnsignedInteger {
    /// Parses one or more decimal digits; nil if `range` holds anything else or the number does not fit.
    @inlinable
    package init?(parsing text: RawSpan, in range: Range<Int>) {
        guard !range.isEmpty else { return nil }
        var value: Self = 0
        for offset in range {
            guard let digit = text.byte(at: offset).decimalDigit else { return nil }
            let (product, tooLarge) = value.multipliedReportingOverflow(by: 10)
            let (sum, overflow) = product.addingReportingOverflow(Self(digit))
            guard !tooLarge, !overflow else { return nil }
            value = sum
        }
        self = value
    }
}

extension RawSpan {
    /// The offset of the last `byte` in `range`.
    package func lastOffset(of byte: UInt8, in range: Range<Int>) -> Int? {
        range.last { self.byte(at: $0) == byte }
    }

    /// The text of `range`; nil if it is not UTF-8.
    package func string(in range: Range<Int>) -> String? {
        String(validating: range.map { byte(at: $0) }, as: UTF8.self)
    }
}

extension UInt8 {
    package static let dot = UInt8(ascii: ".")
    package static let colon = UInt8(ascii: ":")
    package static let slash = UInt8(ascii: "/")
    package static let percent = UInt8(ascii: "%")
    package static let zeroDigit = UInt8(ascii: "0")
    package static let openingBracket = UInt8(ascii: "[")
    package static let closingBracket = UInt8(ascii: "]")

    /// The value as a decimal digit; nil if it is not one.
    @inlinable
    package var decimalDigit: UInt8? {
        let value = self &- 0x30
        return value < 10 ? value : nil
    }

    /// The value as a hexadecimal digit of either case; nil if it is not one.
    @inlinable
    package var hexadecimalDigit: UInt8? {
        let decimal = self &- 0x30
        if decimal < 10 { return decimal }
        // Setting bit 0x20 makes a letter lower-case.
        let letter = (self | 0x20) &- 0x61
        return letter < 6 ? letter &+ 10 : nil
    }
}
