import CLinux
import Glibc

/// Follows one TUN through up, down, MTU changes, renaming, and into other network namespaces.
///
/// The socket belongs to the namespace where the daemon was started. Events of others reach it with
/// NETLINK_LISTEN_ALL_NSID, which needs CAP_NET_BROADCAST; without it `followsMoves` is false, and
/// after a move `refresh` has to be called from time to time. A namespace that is deleted takes the
/// link with it without a message: the descriptor of the TUN is in error then.
package struct LinkMonitor: ~Copyable {
    /// What happened to the link.
    package enum Event: Equatable, Sendable {
        /// It is up, down, has another MTU or another queue length now.
        case changed(LinkState)
        /// It is in another namespace now, as a rule down.
        case moved(LinkState)
        /// It has been deleted.
        case removed
    }

    /// Readable when something has happened to any link.
    package let descriptor: FileDescriptor
    /// Whether events arrive from other namespaces too.
    package let followsMoves: Bool
    /// The link as it was seen last.
    package private(set) var state: LinkState

    private let requests: RouteSocket
    private let birth: FileIdentity

    /// Watches a TUN, which must be in the present network namespace.
    package init(_ tun: borrowing TunDevice) throws(SystemError) {
        let fd = try NetlinkMonitor.open(groups: UInt32(RTMGRP_LINK))
        let all: ()? = try? SystemCall.setsockopt(
            fd, Int32(clinux_SOL_NETLINK), Int32(NETLINK_LISTEN_ALL_NSID), 1)
        let requests = try RouteSocket()
        let namespace = try NetworkNamespace.current()
        let birth = try FileIdentity(namespace)
        state = try requests.link(named: try tun.name())
        self.birth = birth
        self.requests = requests
        followsMoves = all != nil
        descriptor = fd
    }

    /// Takes what has happened since, in order.
    package mutating func events(of tun: borrowing TunDevice) -> [Event] {
        var events: [Event] = []
        while let datagram = NetlinkMonitor.receive(descriptor) {
            // Messages are lost: the others tell of the past, and the present has to be asked for.
            if datagram.isOverrun {
                while NetlinkMonitor.receive(descriptor) != nil {}
                if let event = refresh(tun) { events.append(event) }
                continue
            }
            for message in NetlinkParts(.messages, datagram.bytes[...]) {
                if let event = handle(message, datagram.namespace, tun) { events.append(event) }
            }
            if events.last == .removed { break }
        }
        return events
    }

    /// Asks where the link is and how; an event if that is news.
    package mutating func refresh(_ tun: borrowing TunDevice) -> Event? {
        let found: LinkState
        do throws(SystemError) {
            found = try locate(tun)
        } catch {
            // Anything else means that it is out of sight, not that it is gone.
            return error.code == EBADFD ? .removed : nil
        }
        guard found != state else { return nil }
        defer { state = found }
        let isSamePlace = found.namespace == state.namespace && found.index == state.index
        return isSamePlace ? .changed(found) : .moved(found)
    }

    private mutating func handle(
        _ message: NetlinkParts.Part, _ namespace: Int32?, _ tun: borrowing TunDevice
    ) -> Event? {
        guard let link = LinkState(message.payload, namespace: namespace),
            link.index == state.index, link.namespace == state.namespace
        else { return nil }
        switch message.type {
        case Int(RTM_NEWLINK):
            // Other messages of this type (wireless, bridges) lack the MTU.
            guard link != state, link.mtu != 0 else { return nil }
            state = link
            return .changed(link)
        case Int(RTM_DELLINK): return refresh(tun)
        default: return nil
        }
    }

    private func locate(_ tun: borrowing TunDevice) throws(SystemError) -> LinkState {
        let name = try tun.name()
        let namespace = try tun.networkNamespace()
        if try FileIdentity(namespace) == birth { return try requests.link(named: name) }
        return try requests.link(
            named: name, namespace: try requests.identifier(of: namespace))
    }
}

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

/// What both monitors do with their sockets.
private enum NetlinkMonitor {
    struct Datagram {
        var bytes: [UInt8] = []
        var namespace: Int32?
        var isOverrun = false
    }

    static func open(groups: UInt32) throws(SystemError) -> FileDescriptor {
        let fd = try SystemCall.socket(AF_NETLINK, Int32(clinux_RAW), NETLINK_ROUTE)
        try fd.setNonBlocking()
        var name = sockaddr_nl()
        name.nl_family = sa_family_t(AF_NETLINK)
        name.nl_groups = groups
        let raw = fd.rawValue
        try SystemCall.call("bind") {
            unsafe withUnsafePointer(to: &name) { name in
                unsafe name.withMemoryRebound(to: sockaddr.self, capacity: 1) { name in
                    unsafe bind(raw, name, socklen_t(MemoryLayout<sockaddr_nl>.size))
                }
            }
        }
        return fd
    }

    /// The next datagram, nil if there is none.
    static func receive(_ fd: borrowing FileDescriptor) -> Datagram? {
        var datagram = Datagram(bytes: [UInt8](repeating: 0, count: 32_768))
        let raw = fd.rawValue
        var control = [UInt8](repeating: 0, count: 64)
        let result: Int = unsafe datagram.bytes.withUnsafeMutableBytes { bytes in
            unsafe control.withUnsafeMutableBytes { control in
                var vector = unsafe iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
                return unsafe withUnsafeMutablePointer(to: &vector) { vector in
                    var message = unsafe msghdr()
                    unsafe message.msg_iov = vector
                    unsafe message.msg_iovlen = 1
                    unsafe message.msg_control = control.baseAddress
                    unsafe message.msg_controllen = control.count
                    let length = unsafe recvmsg(raw, &message, Int32(MSG_DONTWAIT))
                    if length >= 0 {
                        datagram.namespace = unsafe Self.namespace(&message)
                        datagram.isOverrun = unsafe message.msg_flags & Int32(MSG_TRUNC) != 0
                    }
                    return length >= 0 ? length : -Int(errno)
                }
            }
        }
        if result == -Int(ENOBUFS) {
            datagram.isOverrun = true
            return datagram
        }
        guard result >= 0 else { return nil }
        datagram.bytes.removeSubrange(result...)
        return datagram
    }

    /// Which namespace a message is from; nil for our own.
    private static func namespace(_ message: inout msghdr) -> Int32? {
        var header = unsafe clinux_cmsg_first(&message)
        while let present = unsafe header {
            if unsafe present.pointee.cmsg_level == Int32(clinux_SOL_NETLINK)
                && present.pointee.cmsg_type == Int32(NETLINK_LISTEN_ALL_NSID)
            {
                return unsafe clinux_cmsg_data(present).load(as: Int32.self)
            }
            unsafe header = clinux_cmsg_next(&message, present)
        }
        return nil
    }
}
