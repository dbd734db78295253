/// A run of addresses that share their first bits: 192.0.2.0/24, 2001:db8::/32.
public struct IPPrefix: Hashable, Sendable {
    /// The first address of the run: all host bits are zero.
    public let address: IPAddress
    /// The number of bits that count: 0 to 32 or 0 to 128.
    public let length: UInt8

    /// Makes the prefix that `address` lies in; nil if `length` is negative or longer than the
    /// address.
    @inlinable
    public init?(_ address: IPAddress, length: Int) {
        guard length >= 0, length <= address.bitCount else { return nil }
        self.address = address.masked(to: length)
        self.length = UInt8(truncatingIfNeeded: length)
    }

    /// Whether `address` lies in the run; an address of the other family never does.
    public func contains(_ address: IPAddress) -> Bool {
        address.masked(to: Int(length)) == self.address
    }
}

extension IPAddress {
    /// 32 or 128.
    @inlinable
    public var bitCount: Int {
        switch self {
        case .v4: 32
        case .v6: 128
        }
    }

    /// The address with all but its first `length` bits zero.
    @inlinable
    public func masked(to length: Int) -> IPAddress {
        switch self {
        case .v4(let address): .v4(address.masked(to: length))
        case .v6(let address): .v6(address.masked(to: length))
        }
    }
}

extension IPv4Address {
    /// The address with all but its first `length` bits zero.
    @inlinable
    public func masked(to length: Int) -> IPv4Address {
        // The smart shift gives zero from 32 on, hence a mask of ones.
        IPv4Address(bits: bits & ~(UInt32.max >> length))
    }
}

extension IPv6Address {
    /// The address with all but its first `length` bits zero.
    @inlinable
    public func masked(to length: Int) -> IPv6Address {
        IPv6Address(
            high: high & ~(UInt64.max >> length),
            low: length <= 64 ? 0 : low & ~(UInt64.max >> (length &- 64)))
    }
}
