import CLinux
import Glibc

/// Reports that routes or addresses of a network namespace changed, so that the sources learnt from
/// received datagrams may be wrong.
package struct RouteMonitor: ~Copyable, Sendable {
    /// Readable after a change.
    package var descriptor: FileDescriptor { _read { yield events.descriptor } }

    private let events: NetlinkEvents

    /// Watches the network namespace of the calling thread.
    package init() throws(SystemError) {
        events = try NetlinkEvents(
            groups: UInt32(
                RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR))
    }

    /// Discards all events. Returns whether there were any.
    package func drain() -> Bool {
        var hasChanged = false
        while events.receive() != nil {
            hasChanged = true
        }
        return hasChanged
    }
}
