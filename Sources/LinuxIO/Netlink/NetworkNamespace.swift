import CLinux
import Glibc

/// The network namespace of the calling thread.
package enum NetworkNamespace {
    /// A descriptor of the present one.
    package static func current() throws(SystemError) -> FileDescriptor {
        try SystemCall.open("open") { unsafe clinux_open("/proc/thread-self/ns/net", O_RDONLY) }
    }

    /// Takes the calling thread into another; needs CAP_SYS_ADMIN.
    package static func enter(_ namespace: borrowing FileDescriptor) throws(SystemError) {
        let raw = namespace.rawValue
        try SystemCall.call("setns") { clinux_setns(raw) }
    }

    /// Takes the calling thread into a new one that has nothing but a loopback link that is down;
    /// needs CAP_SYS_ADMIN.
    package static func enterNew() throws(SystemError) {
        try SystemCall.call("unshare") { clinux_unshare_network() }
    }
}
