/// A range of addresses that share their first bits: 192.0.2.0/24, 2001:db8::/32.
public struct IPPrefix: Hashable, Sendable {
    /// The first address of the range: all host bits are zero.
    public let address: IPAddress
    /// The number of shared bits: 0 to 32 or 0 to 128.
    public let length: UInt8

    /// Makes the prefix of `length` bits that contains `address`; nil if `length` is negative or more than
    /// the bits of the address.
    @inlinable
    public init?(_ address: IPAddress, length: Int) {
        guard length >= 0, length <= address.bitCount else { return nil }
        self.address = address.masked(to: length)
        self.length = UInt8(truncatingIfNeeded: length)
    }

    /// Whether the range contains `address`. It contains no address of the other family.
    public func contains(_ address: IPAddress) -> Bool {
        address.masked(to: Int(length)) == self.address
    }
}

extension IPAddress {
    /// The number of bits: 32 or 128.
    @inlinable
    public var bitCount: Int {
        switch self {
        case .v4: 32
        case .v6: 128
        }
    }

    /// The address with all bits after the first `length` cleared.
    @inlinable
    public func masked(to length: Int) -> IPAddress {
        switch self {
        case .v4(let address): .v4(address.masked(to: length))
        case .v6(let address): .v6(address.masked(to: length))
        }
    }
}

extension IPv4Address {
    /// The address with all bits after the first `length` cleared.
    @inlinable
    public func masked(to length: Int) -> IPv4Address {
        // A smart shift by 32 or more results in 0, so the mask keeps all bits.
        IPv4Address(bits: bits & ~(UInt32.max >> length))
    }
}

extension IPv6Address {
    /// The address with all bits after the first `length` cleared.
    @inlinable
    public func masked(to length: Int) -> IPv6Address {
        IPv6Address(
            high: high & ~(UInt64.max >> length),
            low: length <= 64 ? 0 : low & ~(UInt64.max >> (length &- 64)))
    }
}
