import CLinux
import Glibc
import Packets

/// Asks the kernel about links and changes them (rtnetlink), in the network namespace of the thread
/// that made it. Requests wait for their answer, at most five seconds (EAGAIN).
package struct RouteSocket: ~Copyable {
    private let descriptor: FileDescriptor

    /// Opens a socket in the present network namespace.
    package init() throws(SystemError) {
        let fd = try SystemCall.socket(AF_NETLINK, Int32(clinux_RAW), NETLINK_ROUTE)
        var limit = timeval(tv_sec: 5, tv_usec: 0)
        let raw = fd.rawValue
        try SystemCall.call("setsockopt") {
            unsafe setsockopt(
                raw, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        }
        descriptor = fd
    }

    /// A link by its name.
    ///
    /// - Parameter namespace: the identifier of another network namespace, nil for this one.
    package func link(named name: InterfaceName, namespace: Int32? = nil) throws(SystemError)
        -> LinkState
    {
        var message = NetlinkMessage.link(type: Int32(RTM_GETLINK), flags: 0, index: 0)
        message.add(Int(IFLA_IFNAME), name.rawValue)
        return try link(message, namespace)
    }

    /// A link by its index.
    package func link(index: UInt32, namespace: Int32? = nil) throws(SystemError) -> LinkState {
        try link(
            NetlinkMessage.link(type: Int32(RTM_GETLINK), flags: 0, index: index), namespace)
    }

    /// What kind of link has a name.
    func kind(of name: InterfaceName) throws(SystemError) -> LinkKind {
        var message = NetlinkMessage.link(type: Int32(RTM_GETLINK), flags: 0, index: 0)
        message.add(Int(IFLA_IFNAME), name.rawValue)
        guard let answer = try request(message), answer.type == Int(RTM_NEWLINK) else {
            throw SystemError(call: "RTM_GETLINK", code: EPROTO)
        }
        return LinkKind(answer.payload)
    }

    /// Brings a link up.
    package func bringUp(_ index: UInt32) throws(SystemError) {
        try request(
            .link(
                type: Int32(RTM_SETLINK), flags: NLM_F_ACK, index: index,
                setting: LinkState.upFlag, mask: LinkState.upFlag))
    }

    /// Takes a link down.
    package func takeDown(_ index: UInt32) throws(SystemError) {
        try request(
            .link(
                type: Int32(RTM_SETLINK), flags: NLM_F_ACK, index: index,
                setting: 0, mask: LinkState.upFlag))
    }

    /// Sets the MTU, in bytes.
    package func set(mtu: Int, of index: UInt32) throws(SystemError) {
        try set(Int(IFLA_MTU), UInt32(clamping: mtu), of: index)
    }

    /// Sets how many packets wait in a TUN for its reader.
    package func set(transmitQueueLength length: Int, of index: UInt32) throws(SystemError) {
        try set(Int(IFLA_TXQLEN), UInt32(clamping: length), of: index)
    }

    /// Sets how large a superpacket may be that the kernel hands to a link: in bytes, and in segments.
    package func set(maximumSuperpacket byteCount: Int, segments: Int, of index: UInt32)
        throws(SystemError)
    {
        var message = NetlinkMessage.link(
            type: Int32(RTM_SETLINK), flags: NLM_F_ACK, index: index)
        message.add(Int(IFLA_GSO_MAX_SEGS), UInt32(clamping: segments))
        message.add(Int(IFLA_GSO_MAX_SIZE), UInt32(clamping: byteCount))
        try request(message)
    }

    /// Stops the kernel from sending ICMP redirects for packets that are forwarded over this link. It
    /// looks at the switch for all links too: see `TunDevice.quietKernel`.
    package func disableRedirects(_ index: UInt32) throws(SystemError) {
        var message = NetlinkMessage.link(
            type: Int32(RTM_SETLINK), flags: NLM_F_ACK, index: index)
        message.nest(Int(IFLA_AF_SPEC)) { families in
            families.nest(Int(AF_INET)) { inet in
                inet.nest(Int(IFLA_INET_CONF)) { settings in
                    settings.add(Int(clinux_IPV4_DEVCONF_SEND_REDIRECTS), UInt32(0))
                }
            }
        }
        try request(message)
    }

    /// Keeps the kernel from giving this link a link-local IPv6 address, and so from sending router
    /// solicitations without end. EAFNOSUPPORT without IPv6.
    package func disableAddressGeneration(_ index: UInt32) throws(SystemError) {
        var message = NetlinkMessage.link(
            type: Int32(RTM_SETLINK), flags: NLM_F_ACK, index: index)
        message.nest(Int(IFLA_AF_SPEC)) { families in
            families.nest(Int(AF_INET6)) { inet6 in
                inet6.add(Int(IFLA_INET6_ADDR_GEN_MODE), UInt8(IN6_ADDR_GEN_MODE_NONE.rawValue))
            }
        }
        try request(message)
    }

    /// The identifier by which this namespace knows another one; given now if it had none.
    func identifier(of namespace: borrowing FileDescriptor) throws(SystemError) -> Int32 {
        if let known = try lookUp(namespace) { return known }
        var message = Self.namespaceMessage(type: Int32(RTM_NEWNSID), flags: NLM_F_ACK, namespace)
        message.add(Int(NETNSA_NSID), Int32(-1))
        try request(message)
        guard let given = try lookUp(namespace) else {
            throw SystemError(call: "RTM_NEWNSID", code: ENOENT)
        }
        return given
    }

    private func lookUp(_ namespace: borrowing FileDescriptor) throws(SystemError) -> Int32? {
        let answer = try request(
            Self.namespaceMessage(type: Int32(RTM_GETNSID), flags: 0, namespace))
        guard let answer, answer.payload.count >= 4 else { return nil }
        // rtgenmsg is one byte, padded to four.
        for attribute in NetlinkParts(.attributes, answer.payload.dropFirst(4))
        where attribute.type == Int(NETNSA_NSID) {
            return attribute.load(Int32.self).flatMap { $0 < 0 ? nil : $0 }
        }
        return nil
    }

    /// The addresses by which one reaches every host of a network that a link is in (directed
    /// broadcasts), as the kernel routes them. To be asked of a socket of its own: from then on it is
    /// strict.
    consuming func broadcastAddresses(of index: UInt32, namespace: Int32?) throws(SystemError)
        -> [IPv4Address]
    {
        // Without it the kernel looks neither at the index nor at the namespace.
        try SystemCall.setsockopt(
            descriptor, Int32(clinux_SOL_NETLINK), Int32(NETLINK_GET_STRICT_CHK), 1)
        var message = NetlinkMessage.addresses(of: index)
        if let namespace { message.add(Int(IFA_TARGET_NETNSID), namespace) }
        try SystemCall.write(descriptor, message.bytes)
        var addresses: [IPv4Address] = []
        while true {
            let answer = try SystemCall.read(descriptor, count: 65_536)
            for part in NetlinkParts(.messages, answer[...]) {
                switch part.type {
                case Int(RTM_NEWADDR): addresses += Self.broadcastAddresses(part.payload)
                case Int(NLMSG_DONE): return addresses
                default: throw SystemError(call: "RTM_GETADDR", code: EPROTO)
                }
            }
        }
    }

    /// Those of one address: the one that was given with it, and the last one of its network.
    private static func broadcastAddresses(_ payload: ArraySlice<UInt8>) -> [IPv4Address] {
        guard payload.count >= 8 else { return [] }
        let prefixLength = Int(payload[payload.startIndex + 1])
        var found: [IPv4Address] = []
        for attribute in NetlinkParts(.attributes, payload.dropFirst(8)) {
            guard let bits = attribute.load(UInt32.self).map(UInt32.init(bigEndian:)) else {
                continue
            }
            switch attribute.type {
            case Int(IFA_BROADCAST): found.append(IPv4Address(bits: bits))
            // Networks of one or two hosts have none.
            case Int(IFA_ADDRESS) where prefixLength < 31:
                found.append(IPv4Address(bits: bits | UInt32.max >> UInt32(prefixLength)))
            default: break
            }
        }
        return found
    }

    private static func namespaceMessage(
        type: Int32, flags: Int32, _ namespace: borrowing FileDescriptor
    ) -> NetlinkMessage {
        var message = NetlinkMessage(type: type, flags: flags)
        message.appendFamily()
        message.add(Int(NETNSA_FD), UInt32(bitPattern: namespace.rawValue))
        return message
    }

    private func set(_ attribute: Int, _ value: UInt32, of index: UInt32) throws(SystemError) {
        var message = NetlinkMessage.link(
            type: Int32(RTM_SETLINK), flags: NLM_F_ACK, index: index)
        message.add(attribute, value)
        try request(message)
    }

    private func link(_ message: NetlinkMessage, _ namespace: Int32?) throws(SystemError)
        -> LinkState
    {
        var message = message
        if let namespace { message.add(Int(IFLA_TARGET_NETNSID), namespace) }
        guard let answer = try request(message), answer.type == Int(RTM_NEWLINK),
            let link = LinkState(answer.payload, namespace: namespace)
        else { throw SystemError(call: "RTM_GETLINK", code: EPROTO) }
        return link
    }

    /// Sends a request and takes its one answer: a message, or nil for an acknowledgement.
    @discardableResult
    private func request(_ message: NetlinkMessage) throws(SystemError) -> NetlinkParts.Part? {
        discardLateAnswers()
        try SystemCall.write(descriptor, message.bytes)
        let answer = try SystemCall.read(descriptor, count: 65_536)
        var parts = NetlinkParts(.messages, answer[...])
        guard let part = parts.next() else {
            throw SystemError(call: "netlink", code: EPROTO)
        }
        guard part.type == Int(NLMSG_ERROR) else { return part }
        let code = part.load(Int32.self) ?? -EPROTO
        if code != 0 { throw SystemError(call: "netlink", code: code == .min ? EPROTO : abs(code)) }
        return nil
    }

    /// Throws away the answer to a request that was given up.
    private func discardLateAnswers() {
        var byte: UInt8 = 0
        while unsafe recv(descriptor.rawValue, &byte, 1, Int32(MSG_DONTWAIT)) >= 0 {}
    }
}
