import CLinux
import Glibc
import Packets

/// An unconnected, non-blocking UDP socket of one address family, bound to the wildcard address.
///
/// `SendBatch` sends, `ReceiveBatch` receives.
package struct UDPSocket: ~Copyable, Sendable {
    /// How a socket shares its port (SO_REUSEPORT).
    package enum Sharing: Sendable {
        /// The first socket of a port. EADDRINUSE if another process uses the port. Shared after binding.
        case first
        /// Another socket of this process on the port of the first.
        case further
    }

    /// Options of a new socket.
    package struct Options: Sendable {
        /// The firewall mark, 0 for none. Needs CAP_NET_ADMIN or, from Linux 5.17, CAP_NET_RAW.
        package var mark: UInt32
        /// Whether the kernel may join datagrams of a flow (UDP_GRO).
        package var receiveOffload: ReceiveOffload

        /// Makes options.
        package init(mark: UInt32 = 0, receiveOffload: ReceiveOffload = .enabled) {
            self.mark = mark
            self.receiveOffload = receiveOffload
        }
    }

    /// Whether to enable UDP_GRO.
    package enum ReceiveOffload: Sendable {
        /// Enabled if the kernel supports it.
        case enabled
        /// Each datagram is received separately.
        case disabled
    }

    /// Readable when datagrams are available.
    package let descriptor: FileDescriptor
    /// The address family.
    package let family: AddressFamily
    /// The bound port.
    package let port: UInt16
    /// Whether the kernel joins datagrams of a flow.
    package let hasReceiveOffload: Bool
    /// Whether the kernel supports UDP_SEGMENT. A network device may still refuse it.
    package let hasSegmentation: Bool

    /// Binds a socket.
    ///
    /// - Parameters:
    ///   - port: the port, 0 for any.
    ///   - sharing: only `.first` reliably fails with EADDRINUSE.
    package init(
        _ family: AddressFamily, port: UInt16, sharing: Sharing = .first,
        options: Options = Options()
    ) throws(SystemError) {
        let fd = try SystemCall.socket(
            family == .v4 ? AF_INET : AF_INET6, Int32(clinux_DATAGRAM), 0)
        try Self.configure(fd, family)
        if options.mark != 0 {
            try SystemCall.setsockopt(
                fd, SOL_SOCKET, SO_MARK, Int32(bitPattern: options.mark))
        }
        if sharing == .further { try SystemCall.setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, 1) }
        try Self.bind(fd, family, port)
        // After binding: with the option set before, the first socket would share the port of another process.
        if sharing == .first { try SystemCall.setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, 1) }
        self.port = try Self.boundPort(fd)
        hasReceiveOffload = options.receiveOffload == .enabled && Self.enableReceiveOffload(fd)
        hasSegmentation = Self.probeSegmentation(fd)
        self.family = family
        descriptor = fd
    }

    /// Sets the firewall mark (SO_MARK). EPERM without the capability.
    package func set(mark: UInt32) throws(SystemError) {
        try SystemCall.setsockopt(descriptor, SOL_SOCKET, SO_MARK, Int32(bitPattern: mark))
    }

    private static func configure(_ fd: borrowing FileDescriptor, _ family: AddressFamily)
        throws(SystemError)
    {
        for (forced, plain) in [(SO_RCVBUFFORCE, SO_RCVBUF), (SO_SNDBUFFORCE, SO_SNDBUF)] {
            // Not an error: small buffers only reduce throughput.
            if (try? SystemCall.setsockopt(fd, SOL_SOCKET, forced, bufferByteCount)) == nil {
                try? SystemCall.setsockopt(fd, SOL_SOCKET, plain, bufferByteCount)
            }
        }
        switch family {
        case .v4:
            try SystemCall.setsockopt(fd, Int32(IPPROTO_IP), IP_PKTINFO, 1)
            try SystemCall.setsockopt(fd, Int32(IPPROTO_IP), IP_RECVTOS, 1)
            // As in the kernel's WireGuard: without DF, so that larger datagrams are fragmented.
            try SystemCall.setsockopt(
                fd, Int32(IPPROTO_IP), IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
        case .v6:
            try SystemCall.setsockopt(fd, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1)
            try SystemCall.setsockopt(
                fd, Int32(IPPROTO_IPV6), Int32(clinux_IPV6_RECVPKTINFO), 1)
            try SystemCall.setsockopt(
                fd, Int32(IPPROTO_IPV6), Int32(clinux_IPV6_RECVTCLASS), 1)
            try SystemCall.setsockopt(
                fd, Int32(IPPROTO_IPV6), IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT)
        }
    }

    private static func bind(
        _ fd: borrowing FileDescriptor, _ family: AddressFamily, _ port: UInt16
    ) throws(SystemError) {
        var name = sockaddr_in6()
        let any = SocketAddress(
            address: family == .v4 ? .v4(IPv4Address(bits: 0)) : .v6(IPv6Address(high: 0, low: 0)),
            port: port)
        let length = name.encode(any)
        let raw = fd.rawValue
        try SystemCall.call("bind") {
            unsafe withUnsafePointer(to: &name) { name in
                unsafe name.withMemoryRebound(to: sockaddr.self, capacity: 1) { name in
                    unsafe Glibc.bind(raw, name, length)
                }
            }
        }
    }

    private static func boundPort(_ fd: borrowing FileDescriptor) throws(SystemError) -> UInt16 {
        var name = sockaddr_in6()
        let raw = fd.rawValue
        try SystemCall.call("getsockname") {
            var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
            return unsafe withUnsafeMutablePointer(to: &name) { name in
                unsafe name.withMemoryRebound(to: sockaddr.self, capacity: 1) { name in
                    unsafe getsockname(raw, name, &length)
                }
            }
        }
        // sockaddr_in has the port at the same offset.
        return UInt16(bigEndian: name.sin6_port)
    }

    private static func enableReceiveOffload(_ fd: borrowing FileDescriptor) -> Bool {
        (try? SystemCall.setsockopt(
            fd, Int32(clinux_SOL_UDP), Int32(clinux_UDP_GRO), 1)) != nil
    }

    private static func probeSegmentation(_ fd: borrowing FileDescriptor) -> Bool {
        (try? SystemCall.getsockopt(
            fd, Int32(clinux_SOL_UDP), Int32(clinux_UDP_SEGMENT))) != nil
    }

    /// 7 MiB, as in wireguard-go.
    private static let bufferByteCount: Int32 = 7 << 20
}
