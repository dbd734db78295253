import CLinux
import Glibc
import Packets

/// An unconnected UDP socket of one family, bound to the wildcard address, never blocking.
///
/// Sending is in `SendBatch`, receiving in `ReceiveBatch`.
package struct UDPSocket: ~Copyable, Sendable {
    /// Whether the port may be had by several sockets.
    package enum Sharing: Sendable {
        /// The first one: a port that anybody else has is an error. It is shared once it is bound.
        case first
        /// A further socket of the same process on the port of the first.
        case further
    }

    /// What is asked of a socket, and what the environment may forbid.
    package struct Options: Sendable {
        /// The firewall mark, 0 for none; another needs CAP_NET_ADMIN or (from Linux 5.17)
        /// CAP_NET_RAW.
        package var mark: UInt32
        /// Whether datagrams of one flow may arrive as one (UDP_GRO).
        package var receiveOffload: ReceiveOffload

        /// Makes options.
        package init(mark: UInt32 = 0, receiveOffload: ReceiveOffload = .enabled) {
            self.mark = mark
            self.receiveOffload = receiveOffload
        }
    }

    /// Whether to ask for UDP_GRO.
    package enum ReceiveOffload: Sendable {
        /// If the kernel has it.
        case enabled
        /// Every datagram by itself.
        case disabled
    }

    /// Readable when datagrams wait.
    package let descriptor: FileDescriptor
    /// The family.
    package let family: AddressFamily
    /// The port that it is bound to.
    package let port: UInt16
    /// Whether the kernel hands over several datagrams as one.
    package let hasReceiveOffload: Bool
    /// Whether the kernel knows UDP_SEGMENT. A device may refuse it still.
    package let hasSegmentation: Bool

    /// Binds a socket.
    ///
    /// - Parameters:
    ///   - port: 0 for any.
    ///   - sharing: EADDRINUSE is certain to be seen for the first socket only.
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
        // Only now: bound with the option, the first socket would join whoever has the port already.
        if sharing == .first { try SystemCall.setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, 1) }
        self.port = try Self.boundPort(fd)
        hasReceiveOffload = options.receiveOffload == .enabled && Self.enableReceiveOffload(fd)
        hasSegmentation = Self.probeSegmentation(fd)
        self.family = family
        descriptor = fd
    }

    /// Changes the firewall mark. EPERM without the right to.
    package func set(mark: UInt32) throws(SystemError) {
        try SystemCall.setsockopt(descriptor, SOL_SOCKET, SO_MARK, Int32(bitPattern: mark))
    }

    private static func configure(_ fd: borrowing FileDescriptor, _ family: AddressFamily)
        throws(SystemError)
    {
        for (forced, plain) in [(SO_RCVBUFFORCE, SO_RCVBUF), (SO_SNDBUFFORCE, SO_SNDBUF)] {
            // Small buffers only cost speed: no error.
            if (try? SystemCall.setsockopt(fd, SOL_SOCKET, forced, bufferByteCount)) == nil {
                try? SystemCall.setsockopt(fd, SOL_SOCKET, plain, bufferByteCount)
            }
        }
        switch family {
        case .v4:
            try SystemCall.setsockopt(fd, Int32(IPPROTO_IP), IP_PKTINFO, 1)
            try SystemCall.setsockopt(fd, Int32(IPPROTO_IP), IP_RECVTOS, 1)
            // As the kernel's WireGuard: no DF, and what exceeds the path is sent in fragments.
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
        // The port is at the same place in sockaddr_in.
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

    /// 7 MB, as the kernel and wireguard-go have it.
    private static let bufferByteCount: Int32 = 7 << 20
}
