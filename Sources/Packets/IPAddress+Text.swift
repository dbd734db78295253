// Addresses from and to strings. The text is that of `AddressText`, and parsing is as strict as for the
// configuration protocol: numbers only, nothing before or after.

extension IPv4Address: LosslessStringConvertible {
    /// Parses dotted decimal, `192.0.2.1`; nil if `text` is anything else.
    public init?(_ text: String) {
        self.init(parsing: text.rawBytes)
    }

    /// The address in dotted decimal.
    public var description: String { IPAddress.v4(self).description }
}

extension IPv6Address: LosslessStringConvertible {
    /// Parses the text of RFC 4291, section 2.2, `2001:db8::1`; nil if `text` is anything else. A scope
    /// is not part of an address.
    public init?(_ text: String) {
        self.init(parsing: text.rawBytes)
    }

    /// The address in its shortest form (RFC 5952).
    public var description: String { IPAddress.v6(self).description }
}

extension IPAddress: LosslessStringConvertible {
    /// Parses an IPv4 or IPv6 address, `192.0.2.1` or `2001:db8::1`; nil if `text` is anything else.
    public init?(_ text: String) {
        self.init(parsing: text.rawBytes)
    }

    /// The address as ``AddressText`` writes it.
    public var description: String { AddressText(self).string }
}

extension IPPrefix: LosslessStringConvertible {
    /// Parses `address/length`, such as `10.0.0.2/32`; nil if `text` is anything else. Clears the host
    /// bits.
    public init?(_ text: String) {
        self.init(parsing: text.rawBytes)
    }

    /// The prefix as ``AddressText`` writes it.
    public var description: String { AddressText(self).string }
}

extension SocketAddress: LosslessStringConvertible {
    /// Parses `192.0.2.1:51820`, `[2001:db8::1]:51820` or `[fe80::1%3]:51820`; nil if `text` is anything
    /// else. Host names and interface names are not resolved.
    public init?(_ text: String) {
        self.init(parsing: text.rawBytes, resolveScope: { _ in nil })
    }

    /// The address as ``AddressText`` writes it.
    public var description: String { AddressText(self).string }
}

extension SourceAddress: CustomStringConvertible {
    /// The address, and the index of the interface if it is known: `192.0.2.1 on interface 3`.
    public var description: String {
        interfaceIndex == 0 ? "\(address)" : "\(address) on interface \(interfaceIndex)"
    }
}

extension String {
    /// The UTF-8 bytes.
    fileprivate var rawBytes: RawSpan {
        @_lifetime(borrow self)
        get {
            // Bytes have no padding.
            let bytes = unsafe utf8Span.span.bytes
            return unsafe _overrideLifetime(bytes, borrowing: self)
        }
    }
}
