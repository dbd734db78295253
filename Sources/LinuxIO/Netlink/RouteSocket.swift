import CLinux
import Glibc

/// Reads and changes links, addresses and namespace identifiers (rtnetlink(7)), in the network
/// namespace of the thread that opens it.
///
/// Each call blocks until the kernel responds, for at most five seconds (EAGAIN). The errors of the
/// kernel have the call name `netlink`.
package struct RouteSocket: ~Copyable {
    let socket: NetlinkSocket

    /// Opens a socket.
    package init() throws(SystemError) {
        socket = try NetlinkSocket()
    }
}
