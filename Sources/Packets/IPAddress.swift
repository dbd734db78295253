/// An IPv4 address as a number: 192.0.2.1 is 0xC0000201.
public struct IPv4Address: Hashable, Sendable, BitwiseCopyable {
    /// The address in host byte order.
    public var bits: UInt32

    /// Makes an address from its number in host byte order.
    @inlinable
    public init(bits: UInt32) {
        self.bits = bits
    }
}

/// An IPv6 address as two numbers in host byte order.
public struct IPv6Address: Hashable, Sendable, BitwiseCopyable {
    /// The first 64 bits: the routing prefix, as a rule a /64.
    public var high: UInt64
    /// The last 64 bits: the interface identifier.
    public var low: UInt64

    /// Makes an address from its two halves in host byte order.
    @inlinable
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
}

/// An address of either family.
public enum IPAddress: Hashable, Sendable, BitwiseCopyable {
    /// An IPv4 address.
    case v4(IPv4Address)
    /// An IPv6 address.
    case v6(IPv6Address)
}

/// Where a datagram goes to or comes from: address, UDP port, and for IPv6 link-local addresses the
/// scope (an interface index, 0 for none).
public struct SocketAddress: Hashable, Sendable, BitwiseCopyable {
    /// The address.
    public var address: IPAddress
    /// The UDP port in host byte order.
    public var port: UInt16
    /// The interface index of a link-local IPv6 address, else 0.
    public var scope: UInt32

    /// Makes an address of a socket.
    @inlinable
    public init(address: IPAddress, port: UInt16, scope: UInt32 = 0) {
        self.address = address
        self.port = port
        self.scope = scope
    }
}

/// The local end that a datagram arrived at, so that the answer leaves from it (source stickiness).
public struct SourceAddress: Hashable, Sendable, BitwiseCopyable {
    /// The local address that the remote end dialled.
    public var address: IPAddress
    /// The index of the interface that it arrived on.
    public var interfaceIndex: UInt32

    /// Makes a source.
    @inlinable
    public init(address: IPAddress, interfaceIndex: UInt32) {
        self.address = address
        self.interfaceIndex = interfaceIndex
    }
}
