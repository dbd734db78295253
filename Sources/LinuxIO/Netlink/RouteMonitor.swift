import CLinux
import Glibc

/// Tells that routes or addresses of the present network namespace have changed, so that sources and
/// interfaces learnt from the remote ends may be wrong.
package struct RouteMonitor: ~Copyable, Sendable {
    /// Readable when something has changed.
    package let descriptor: FileDescriptor

    /// Watches the namespace of the calling thread.
    package init() throws(SystemError) {
        descriptor = try NetlinkMonitor.open(
            groups: UInt32(
                RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR))
    }

    /// Takes all messages; true if there was any.
    package func drain() -> Bool {
        var hasChanged = false
        while NetlinkMonitor.receive(descriptor) != nil {
            hasChanged = true
        }
        return hasChanged
    }
}
