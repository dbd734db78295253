import CLinux
import Glibc
import Packets

/// Follows one TUN as it goes up and down, changes its MTU, and is renamed or moved to another network
/// namespace.
///
/// The socket belongs to the namespace in which the monitor is created. Events of other namespaces
/// arrive if CAP_NET_BROADCAST allows NETLINK_LISTEN_ALL_NSID; otherwise call `refresh` periodically
/// while `isOutOfSight`. If the namespace of the link is deleted, no event arrives, but the descriptor of
/// the TUN reports an error.
package struct LinkMonitor: ~Copyable {
    /// A change of the link.
    package enum Event: Equatable, Sendable {
        /// Its flags, MTU, queue length or super-packet size changed.
        case changed(LinkState)
        /// It moved to another namespace, where it usually is down.
        case moved(LinkState)
        /// It was deleted.
        case removed
        /// Its namespace enabled or disabled forwarding.
        case forwarding
    }

    /// Readable after a change of any link.
    package var descriptor: FileDescriptor { _read { yield socket.descriptor } }
    /// Whether events of other namespaces arrive.
    package let followsMoves: Bool
    /// The last known state of the link.
    package private(set) var state: LinkState
    /// The directed broadcast addresses of the link's IPv4 networks.
    package private(set) var broadcastAddresses: [IPv4Address] = []
    /// Whether the link is in a namespace whose events do not arrive.
    package var isOutOfSight: Bool { !followsMoves && state.namespace != nil }

    private let socket: NetlinkEvents
    private let requests: RouteSocket
    private let birth: FileIdentity

    /// Watches a TUN from the network namespace of the calling thread.
    package init(_ tun: borrowing TunDevice) throws(SystemError) {
        let socket = try NetlinkEvents(
            groups: UInt32(RTMGRP_LINK | RTMGRP_IPV4_IFADDR) | Forwarding.groups)
        // Before the link is read, so that no move is missed.
        let followsMoves = socket.includeAllNamespaces()
        let requests = try RouteSocket()
        let namespace = try NetworkNamespace.current()
        let birth = try FileIdentity(namespace)
        state = try Self.locate(tun, requests, birth)
        self.birth = birth
        self.requests = requests
        self.followsMoves = followsMoves
        self.socket = socket
        readAddresses()
    }

    /// Receives the events since the last call, in order.
    package mutating func events(of tun: borrowing TunDevice) -> [Event] {
        var events: [Event] = []
        while let datagram = socket.receive() {
            // Events were lost. The rest describes the past, so read the present state.
            if datagram.isOverrun {
                while socket.receive() != nil {}
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

    /// Reads the namespace, state and addresses of the link. Returns an event if namespace or state
    /// changed.
    package mutating func refresh(_ tun: borrowing TunDevice) -> Event? {
        let found: LinkState
        do throws(SystemError) {
            found = try Self.locate(tun, requests, birth)
        } catch {
            // Any other error means that the link cannot be seen, not that it was deleted.
            return error.code == EBADFD ? .removed : nil
        }
        let before = state
        state = found
        readAddresses()
        guard found != before else { return nil }
        let isSamePlace = found.namespace == before.namespace && found.index == before.index
        return isSamePlace ? .changed(found) : .moved(found)
    }

    private mutating func readAddresses() {
        do throws(SystemError) {
            broadcastAddresses = try RouteSocket().broadcastAddresses(
                of: state.index, namespace: state.namespace)
        } catch {
            // The kernel is old, or the link was deleted.
            broadcastAddresses = []
        }
    }

    private mutating func handle(
        _ message: NetlinkParts.Part, _ namespace: Int32?, _ tun: borrowing TunDevice
    ) -> Event? {
        if namespace == state.namespace, Forwarding.isChange(message) { return .forwarding }
        // ifinfomsg and ifaddrmsg have the index at the same offset.
        guard message.load(UInt32.self, at: 4) == state.index, namespace == state.namespace else {
            return nil
        }
        switch message.type {
        case Int(RTM_NEWADDR), Int(RTM_DELADDR):
            readAddresses()
            return nil
        case Int(RTM_NEWLINK):
            // RTM_NEWLINK messages of wireless and bridge links can lack the MTU.
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
        // Without TUNGETDEVNETNS (before Linux 5.7), assume that the link has not moved.
        guard let namespace = try? tun.networkNamespace(), try FileIdentity(namespace) != birth
        else { return try requests.link(named: name) }
        let identifier = try requests.identifier(of: namespace)
        return try requests.link(named: name, namespace: identifier)
    }
}
