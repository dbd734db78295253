import CLinux
import Glibc

/// The network namespace of the calling thread.
package enum NetworkNamespace {
    /// Opens it.
    package static func current() throws(SystemError) -> FileDescriptor {
        try SystemCall.descriptor("open") {
            unsafe clinux_open("/proc/thread-self/ns/net", O_RDONLY)
        }
    }

    /// Moves the calling thread to another namespace (setns(2)). Needs CAP_SYS_ADMIN.
    package static func enter(_ namespace: borrowing FileDescriptor) throws(SystemError) {
        let raw = namespace.rawValue
        try SystemCall.call("setns") { clinux_setns(raw) }
    }

    /// Moves the calling thread to a new namespace whose only link is a loopback link that is down
    /// (unshare(2)). Needs CAP_SYS_ADMIN.
    package static func enterNew() throws(SystemError) {
        try SystemCall.call("unshare") { clinux_unshare_network() }
    }
}
