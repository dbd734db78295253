import Packets

/// The UDP sockets of one worker, one per address family on the same port, shared with the control thread.
///
/// The kernel distributes remotes over the pairs of a port: all datagrams of a remote arrive at one pair.
package struct UDPSocketPair: Sendable {
    /// The IPv4 socket; nil if the kernel lacks IPv4.
    package let v4: SharedSocket?
    /// The IPv6 socket; nil if the kernel lacks IPv6 or has it disabled.
    package let v6: SharedSocket?

    /// The port of both sockets.
    package var port: UInt16 {
        v4?.socket.port ?? v6?.socket.port ?? 0
    }

    /// Whether the kernel supports UDP_SEGMENT. A network device may still refuse a segmented send.
    package var hasSegmentation: Bool {
        v4?.socket.hasSegmentation ?? true && v6?.socket.hasSegmentation ?? true
    }

    /// Sets the firewall mark of both sockets. See `KernelControl.setMark`.
    func set(mark: UInt32) throws(SystemError) {
        try v4?.socket.set(mark: mark)
        try v6?.socket.set(mark: mark)
    }

    /// Binds pairs to one port. The daemon does this through `KernelControl.bindSockets`.
    ///
    /// - Parameter port: the port, 0 for any that is free in both families.
    package static func bind(
        port: UInt16, count: Int = 1, options: UDPSocket.Options = UDPSocket.Options()
    ) throws(SystemError) -> [UDPSocketPair] {
        var attempts = port == 0 ? 100 : 1
        while true {
            attempts -= 1
            do throws(SystemError) {
                let first = try UDPSocketPair(port: port, sharing: .first, options: options)
                var all = [first]
                while all.count < count {
                    all.append(
                        try UDPSocketPair(port: first.port, sharing: .further, options: options))
                }
                return all
            } catch {
                // A port that is free for IPv4 can be in use for IPv6. Try another one.
                guard error.isAddressInUse, attempts > 0 else { throw error }
            }
        }
    }

    private init(
        port: UInt16, sharing: UDPSocket.Sharing, options: UDPSocket.Options
    ) throws(SystemError) {
        v4 = try Self.bindIfSupported(.v4, port: port, sharing: sharing, options: options)
        let port = v4?.socket.port ?? port
        v6 = try Self.bindIfSupported(.v6, port: port, sharing: sharing, options: options)
        if v4 == nil, v6 == nil { throw .addressFamilyNotSupported }
    }

    private static func bindIfSupported(
        _ family: AddressFamily, port: UInt16, sharing: UDPSocket.Sharing,
        options: UDPSocket.Options
    ) throws(SystemError) -> SharedSocket? {
        do throws(SystemError) {
            return SharedSocket(
                try UDPSocket(family, port: port, sharing: sharing, options: options))
        } catch {
            if error.isFamilyMissing { return nil }
            throw error
        }
    }
}
