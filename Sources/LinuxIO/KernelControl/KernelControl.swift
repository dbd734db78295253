import Glibc

/// The privileged operations that the daemon needs after its interface has started.
///
/// All of them go through this type. Arguments and results are values and descriptors, so that a
/// sandboxed daemon can have them performed by another process. Used by one thread.
package final class KernelControl {
    /// What to bind.
    package struct SocketRequest: Equatable, Sendable {
        /// The port, 0 for any that is free in both families.
        package var port: UInt16
        /// How many pairs share the port, at least 1.
        package var count: Int
        /// The firewall mark, 0 for none.
        package var mark: UInt32
        /// Whether to enable UDP_GRO.
        package var receiveOffload: UDPSocket.ReceiveOffload

        /// Makes a request.
        package init(
            port: UInt16, count: Int = 1, mark: UInt32 = 0,
            receiveOffload: UDPSocket.ReceiveOffload = .enabled
        ) {
            self.port = port
            self.count = count
            self.mark = mark
            self.receiveOffload = receiveOffload
        }
    }

    private let tun: TunReference
    private var socketFile: SocketFile?

    /// Takes what the operations need: another descriptor of the TUN, and the file of the configuration
    /// socket, nil if it has another owner. The file is removed with this object, unless it was before.
    package init(tun: borrowing TunDevice, socketFile: consuming SocketFile? = nil)
        throws(SystemError)
    {
        self.socketFile = socketFile
        self.tun = try TunReference(tun)
    }

    /// Binds UDP sockets in the network namespace of the calling thread.
    ///
    /// Errors: EADDRINUSE, also if the port is free in one family only; EAFNOSUPPORT if the kernel has
    /// neither IPv4 nor IPv6; EPERM if a mark is not permitted.
    package func bindSockets(_ request: SocketRequest) throws(SystemError) -> [UDPSocketPair] {
        try UDPSocketPair.bind(
            port: request.port, count: request.count,
            options: UDPSocket.Options(
                mark: request.mark, receiveOffload: request.receiveOffload))
    }

    /// Sets the firewall mark (SO_MARK) of both sockets of a pair, 0 for none.
    ///
    /// Errors: EPERM without CAP_NET_ADMIN or, from Linux 5.17, CAP_NET_RAW. On an error nothing
    /// changes: the permission is the same for both sockets.
    package func setMark(_ mark: UInt32, of pair: UDPSocketPair) throws(SystemError) {
        try pair.set(mark: mark)
    }

    /// Limits the size of super-packets from the TUN to what one segmented send carries at its MTU
    /// (`SuperpacketLimit`). Removes the limit if the network namespace of the TUN forwards packets:
    /// the kernel joins forwarded packets up to its own limit, and would split the larger ones into
    /// single packets, each a separate read.
    ///
    /// Errors: ENODEV and the like while the link is renamed or moved (`SystemError.isPassing`); EPERM
    /// in another namespace without CAP_SYS_ADMIN. The tunnel works without the limit.
    package func limitSuperpackets() throws(SystemError) {
        if let error = tun.perform(.limitSuperpackets).first { throw error }
    }

    /// Disables what the kernel sends on the TUN without being asked: ICMP redirects, which a hub would
    /// send for each forwarded flow, and the router solicitations of an IPv6 link-local address. As in
    /// the kernel's WireGuard, this includes `send_redirects` of `all`.
    ///
    /// Call it again after a move to another network namespace, which resets these settings.
    ///
    /// - Returns: an error for each setting that did not change: EAFNOSUPPORT without IPv6; EROFS if
    ///   /proc/sys is read-only, as in a container; EPERM in another namespace without CAP_SYS_ADMIN. The
    ///   tunnel works without these settings.
    package func quietLink() -> [SystemError] {
        tun.perform(.quiet)
    }

    /// Removes the file of the configuration socket, unless another file has its name by now. Does
    /// nothing the second time.
    package func removeSocketFile() {
        socketFile = nil
    }
}
