import Glibc

/// The sockets of one worker: IPv4, and IPv6 where the host has it, on the same port.
///
/// With several workers the first pair is opened as `.first`, the others as `.further` on its port;
/// the kernel then keeps a remote end on one of them.
@frozen
package struct UDPSocketPair: ~Copyable, Sendable {
    /// The socket of IPv4.
    package let v4: UDPSocket
    /// The socket of IPv6; nil on a host that was built or started without.
    package let v6: UDPSocket?
    /// The port of both.
    package var port: UInt16 { v4.port }
    /// Whether there is a socket of IPv6.
    package var hasIPv6: Bool { v6 != nil }

    /// Binds both.
    ///
    /// - Parameter port: 0 for any that is free in both families.
    package init(
        port: UInt16, sharing: UDPSocket.Sharing = .first,
        options: UDPSocket.Options = UDPSocket.Options()
    ) throws(SystemError) {
        var attempts = 1
        while true {
            let v4 = try UDPSocket(.v4, port: port, sharing: sharing, options: options)
            do throws(SystemError) {
                v6 = try UDPSocket(.v6, port: v4.port, sharing: sharing, options: options)
                self.v4 = v4
                return
            } catch {
                switch error.code {
                case EAFNOSUPPORT, EPROTONOSUPPORT, EADDRNOTAVAIL:
                    v6 = nil
                    self.v4 = v4
                    return
                // The port that IPv4 was given at random is taken in IPv6: another one, then.
                case EADDRINUSE where port == 0 && attempts < 100: attempts += 1
                default: throw error
                }
            }
        }
    }

    /// Changes the firewall mark of both. EPERM without the right to. On an error nothing has changed:
    /// the right to do it is the same for both.
    package func set(mark: UInt32) throws(SystemError) {
        try v4.set(mark: mark)
        try v6?.set(mark: mark)
    }
}
