/// An IPv4 address, stored as a number: 192.0.2.1 is 0xC0000201.
public struct IPv4Address: Hashable, Sendable, BitwiseCopyable {
    /// The address in host byte order.
    public var bits: UInt32

    /// Makes an address from its bits in host byte order.
    @inlinable
    public init(bits: UInt32) {
        self.bits = bits
    }
}

/// An IPv6 address, stored as two numbers in host byte order.
public struct IPv6Address: Hashable, Sendable, BitwiseCopyable {
    /// The first 64 bits, usually the routing prefix.
    public var high: UInt64
    /// The last 64 bits, usually the interface identifier.
    public var low: UInt64

    /// Makes an address from its halves in host byte order.
    @inlinable
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
}

/// An IP address of either family.
public enum IPAddress: Hashable, Sendable, BitwiseCopyable {
    /// An IPv4 address.
    case v4(IPv4Address)
    /// An IPv6 address.
    case v6(IPv6Address)
}

/// The address and UDP port that a datagram is sent to or received from.
public struct SocketAddress: Hashable, Sendable, BitwiseCopyable {
    /// The address.
    public var address: IPAddress
    /// The UDP port in host byte order.
    public var port: UInt16
    /// The scope of a link-local IPv6 address, which is an interface index; 0 for none.
    public var scope: UInt32

    /// Makes a socket address.
    @inlinable
    public init(address: IPAddress, port: UInt16, scope: UInt32 = 0) {
        self.address = address
        self.port = port
        self.scope = scope
    }
}

/// The local address and interface that a datagram arrived at, so that the answer can leave from that
/// address.
///
/// The interface is a hint. The answer leaves by the interface that the route to the remote names now.
public struct SourceAddress: Hashable, Sendable, BitwiseCopyable {
    /// The local address that the datagram was sent to.
    public var address: IPAddress
    /// The index of the interface that the datagram arrived on.
    public var interfaceIndex: UInt32

    /// Makes a source address.
    @inlinable
    public init(address: IPAddress, interfaceIndex: UInt32) {
        self.address = address
        self.interfaceIndex = interfaceIndex
    }
}

extension SourceAddress {
    /// Whether the address has a meaning only together with the interface: it is a link-local IPv6 address,
    /// and the remote has no scope that names the interface.
    package func needsInterface(to remote: SocketAddress) -> Bool {
        guard case .v6(let address) = address else { return false }
        return address.high >> 54 == 0xFE80 >> 6 && remote.scope == 0
    }
}
