import CLinux
import Glibc
import Packets

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
        /// Its namespace began or ceased to forward packets.
        case forwarding
    }

    /// Readable when something has happened to any link.
    package let descriptor: FileDescriptor
    /// Whether events arrive from other namespaces too.
    package let followsMoves: Bool
    /// The link as it was seen last.
    package private(set) var state: LinkState
    /// The directed broadcast addresses of the IPv4 networks that it is in.
    package private(set) var broadcastAddresses: [IPv4Address] = []
    /// Whether the link is where no events arrive from, so that `refresh` has to be called.
    package var isOutOfSight: Bool { !followsMoves && state.namespace != nil }

    private let requests: RouteSocket
    private let birth: FileIdentity

    /// Watches a TUN from the present network namespace.
    package init(_ tun: borrowing TunDevice) throws(SystemError) {
        let fd = try NetlinkMonitor.open(
            groups: UInt32(RTMGRP_LINK | RTMGRP_IPV4_IFADDR) | Self.settingGroups)
        let all: ()? = try? SystemCall.setsockopt(
            fd, Int32(clinux_SOL_NETLINK), Int32(NETLINK_LISTEN_ALL_NSID), 1)
        let requests = try RouteSocket()
        let namespace = try NetworkNamespace.current()
        let birth = try FileIdentity(namespace)
        state = try Self.locate(tun, requests, birth)
        self.birth = birth
        self.requests = requests
        followsMoves = all != nil
        descriptor = fd
        readAddresses()
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

    /// Asks where the link is, how, and what its addresses are; an event if it is news where and how.
    package mutating func refresh(_ tun: borrowing TunDevice) -> Event? {
        let found: LinkState
        do throws(SystemError) {
            found = try Self.locate(tun, requests, birth)
        } catch {
            // Anything else means that it is out of sight, not that it is gone.
            return error.code == EBADFD ? .removed : nil
        }
        let before = state
        state = found
        readAddresses()
        guard found != before else { return nil }
        let isSamePlace = found.namespace == before.namespace && found.index == before.index
        return isSamePlace ? .changed(found) : .moved(found)
    }

    /// RTNLGRP_IPV4_NETCONF and RTNLGRP_IPV6_NETCONF, as bits.
    private static let settingGroups: UInt32 = 1 << 23 | 1 << 24

    /// Whether a message tells of forwarding by all links of a namespace.
    private static func isAboutForwarding(_ message: NetlinkParts.Part) -> Bool {
        guard message.type == Int(RTM_NEWNETCONF) else { return false }
        // netconfmsg is one byte, padded to four.
        let attributes = NetlinkParts(.attributes, message.payload.dropFirst(4))
        let ofAllLinks = attributes.contains {
            $0.type == Int(NETCONFA_IFINDEX) && $0.load(Int32.self) == NETCONFA_IFINDEX_ALL
        }
        return ofAllLinks && attributes.contains { $0.type == Int(NETCONFA_FORWARDING) }
    }

    private mutating func readAddresses() {
        do throws(SystemError) {
            broadcastAddresses = try RouteSocket().broadcastAddresses(
                of: state.index, namespace: state.namespace)
        } catch {
            // An old kernel, or a link that has just gone: none is known.
            broadcastAddresses = []
        }
    }

    private mutating func handle(
        _ message: NetlinkParts.Part, _ namespace: Int32?, _ tun: borrowing TunDevice
    ) -> Event? {
        if namespace == state.namespace, Self.isAboutForwarding(message) { return .forwarding }
        // The index is at the same place in all of these messages.
        guard message.load(UInt32.self, at: 4) == state.index, namespace == state.namespace else {
            return nil
        }
        switch message.type {
        case Int(RTM_NEWADDR), Int(RTM_DELADDR):
            readAddresses()
            return nil
        case Int(RTM_NEWLINK):
            // Other messages of this type (wireless, bridges) lack the MTU.
            guard let link = LinkState(message.payload, namespace: namespace), link != state,
                link.mtu != 0
            else { return nil }
            state = link
            return .changed(link)
        case Int(RTM_DELLINK): return refresh(tun)
        default: return nil
        }
    }

    private static func locate(
        _ tun: borrowing TunDevice, _ requests: borrowing RouteSocket, _ birth: FileIdentity
    ) throws(SystemError) -> LinkState {
        let name = try tun.name()
        // A kernel without TUNGETDEVNETNS: it can only be here.
        guard let namespace = try? tun.networkNamespace(), try FileIdentity(namespace) != birth
        else { return try requests.link(named: name) }
        let identifier = try requests.identifier(of: namespace)
        return try requests.link(named: name, namespace: identifier)
    }
}
