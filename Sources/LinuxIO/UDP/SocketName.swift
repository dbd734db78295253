import Glibc
import Packets

// Addresses of both families in the larger structure. Family and port have the same offsets in both.
extension sockaddr_in6 {
    /// Stores an address as sockaddr_in or sockaddr_in6.
    ///
    /// - Returns: the size of that structure.
    mutating func encode(_ address: SocketAddress) -> socklen_t {
        sin6_port = address.port.bigEndian
        switch address.address {
        case .v4(let v4):
            sin6_family = sa_family_t(AF_INET)
            // sin_addr has the offset of sin6_flowinfo.
            sin6_flowinfo = v4.bits.bigEndian
            return socklen_t(MemoryLayout<sockaddr_in>.size)
        case .v6(let v6):
            sin6_family = sa_family_t(AF_INET6)
            sin6_flowinfo = 0
            sin6_addr = in6_addr(v6)
            sin6_scope_id = address.scope
            return socklen_t(MemoryLayout<sockaddr_in6>.size)
        }
    }

    /// The stored address.
    var decoded: SocketAddress {
        let port = UInt16(bigEndian: sin6_port)
        guard sin6_family == sa_family_t(AF_INET6) else {
            let v4 = IPv4Address(bits: UInt32(bigEndian: sin6_flowinfo))
            return SocketAddress(address: .v4(v4), port: port)
        }
        return SocketAddress(
            address: .v6(IPv6Address(sin6_addr)), port: port, scope: sin6_scope_id)
    }
}

extension in6_addr {
    init(_ address: IPv6Address) {
        // Both types are 16 bytes without padding.
        self = unsafe unsafeBitCast(
            (address.high.bigEndian, address.low.bigEndian), to: in6_addr.self)
    }
}

extension IPv6Address {
    init(_ address: in6_addr) {
        // Both types are 16 bytes without padding.
        let (high, low) = unsafe unsafeBitCast(address, to: (UInt64, UInt64).self)
        self.init(high: UInt64(bigEndian: high), low: UInt64(bigEndian: low))
    }
}
