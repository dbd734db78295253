import CLinux
import Glibc

/// Reports that a network namespace may send datagrams by other ways than before: its routes, policy
/// rules, next hops, addresses or links changed. A cached source must then be checked again.
package struct RouteMonitor: ~Copyable, Sendable {
    /// Readable after a change.
    package var descriptor: FileDescriptor { _read { yield events.descriptor } }

    private let events: NetlinkEvents

    /// A change of a link is watched, because the kernel reports no IPv4 routes that it removes with a link.
    /// RTMGRP_* lacks names for the last three: policy rules of both families, and next hops.
    private static let groups =
        UInt32(RTMGRP_LINK)
        | UInt32(RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR)
        | group(RTNLGRP_IPV4_RULE) | group(RTNLGRP_IPV6_RULE) | group(RTNLGRP_NEXTHOP)

    /// The maximum number of events that one call discards. A program that changes routes all the time
    /// must not keep the thread here.
    private static let eventsPerCall = 64

    /// Watches the network namespace of the calling thread.
    package init() throws(SystemError) {
        events = try NetlinkEvents(groups: Self.groups)
    }

    /// Discards a limited number of events. Returns whether there were any, lost ones included.
    ///
    /// More events keep the descriptor readable.
    package func drain() -> Bool {
        for index in 0..<Self.eventsPerCall where !discard() { return index > 0 }
        return true
    }

    /// Discards one event. The content does not matter, so it is not copied.
    private func discard() -> Bool {
        var byte: UInt8 = 0
        let result = unsafe recv(descriptor.rawValue, &byte, 1, Int32(MSG_DONTWAIT))
        // ENOBUFS: the kernel dropped events, since the buffer of the socket is full.
        return result >= 0 || errno == ENOBUFS
    }

    private static func group(_ number: rtnetlink_groups) -> UInt32 {
        1 << (number.rawValue - 1)
    }
}
