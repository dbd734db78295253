import CLinux
import Glibc

// Reading links, and changing their settings.
extension RouteSocket {
    /// Reads a link by name.
    ///
    /// - Parameter namespace: the identifier of its network namespace, nil for that of the socket.
    package func link(named name: InterfaceName, namespace: Int32? = nil) throws(SystemError)
        -> LinkState
    {
        var message = Self.linkMessage(Int32(RTM_GETLINK), index: 0)
        message.add(Int(IFLA_IFNAME), name.rawValue)
        return try link(message, namespace)
    }

    /// Reads a link by index.
    package func link(index: UInt32, namespace: Int32? = nil) throws(SystemError) -> LinkState {
        try link(Self.linkMessage(Int32(RTM_GETLINK), index: index), namespace)
    }

    /// Reads the kind of a link.
    func kind(of name: InterfaceName) throws(SystemError) -> LinkKind {
        var message = Self.linkMessage(Int32(RTM_GETLINK), index: 0)
        message.add(Int(IFLA_IFNAME), name.rawValue)
        guard let response = try socket.request(message), response.type == Int(RTM_NEWLINK) else {
            throw SystemError(call: "RTM_GETLINK", code: EPROTO)
        }
        return LinkKind(response.payload)
    }

    /// Brings a link up.
    package func bringUp(_ index: UInt32) throws(SystemError) {
        try socket.request(
            Self.linkMessage(
                Int32(RTM_SETLINK), index: index, flags: LinkState.upFlag, mask: LinkState.upFlag))
    }

    /// Brings a link down.
    package func bringDown(_ index: UInt32) throws(SystemError) {
        try socket.request(
            Self.linkMessage(Int32(RTM_SETLINK), index: index, flags: 0, mask: LinkState.upFlag))
    }

    /// Sets the MTU in bytes. EINVAL if the link does not allow it.
    package func set(mtu: Int, of index: UInt32) throws(SystemError) {
        try set(Int(IFLA_MTU), UInt32(clamping: mtu), of: index)
    }

    /// Sets how many packets the queue of a TUN holds.
    package func set(transmitQueueLength length: Int, of index: UInt32) throws(SystemError) {
        try set(Int(IFLA_TXQLEN), UInt32(clamping: length), of: index)
    }

    /// Limits the super-packets that the kernel passes to a link, in bytes and in segments.
    package func set(maximumSuperpacket byteCount: Int, segments: Int, of index: UInt32)
        throws(SystemError)
    {
        var message = Self.linkMessage(Int32(RTM_SETLINK), index: index)
        message.add(Int(IFLA_GSO_MAX_SEGS), UInt32(clamping: segments))
        message.add(Int(IFLA_GSO_MAX_SIZE), UInt32(clamping: byteCount))
        try socket.request(message)
    }

    /// Disables ICMP redirects for packets that are forwarded over a link. The kernel still sends them
    /// while `send_redirects` of `all` is set.
    package func disableRedirects(_ index: UInt32) throws(SystemError) {
        var message = Self.linkMessage(Int32(RTM_SETLINK), index: index)
        message.nest(Int(IFLA_AF_SPEC)) { families in
            families.nest(Int(AF_INET)) { inet in
                inet.nest(Int(IFLA_INET_CONF)) { settings in
                    settings.add(Int(clinux_IPV4_DEVCONF_SEND_REDIRECTS), UInt32(0))
                }
            }
        }
        try socket.request(message)
    }

    /// Disables the link-local IPv6 address of a link, for which the kernel would send router
    /// solicitations forever. EAFNOSUPPORT without IPv6.
    package func disableAddressGeneration(_ index: UInt32) throws(SystemError) {
        var message = Self.linkMessage(Int32(RTM_SETLINK), index: index)
        message.nest(Int(IFLA_AF_SPEC)) { families in
            families.nest(Int(AF_INET6)) { inet6 in
                inet6.add(Int(IFLA_INET6_ADDR_GEN_MODE), UInt8(IN6_ADDR_GEN_MODE_NONE.rawValue))
            }
        }
        try socket.request(message)
    }

    private func set(_ attribute: Int, _ value: UInt32, of index: UInt32) throws(SystemError) {
        var message = Self.linkMessage(Int32(RTM_SETLINK), index: index)
        message.add(attribute, value)
        try socket.request(message)
    }

    private func link(_ message: NetlinkMessage, _ namespace: Int32?) throws(SystemError)
        -> LinkState
    {
        var message = message
        if let namespace { message.add(Int(IFLA_TARGET_NETNSID), namespace) }
        guard let response = try socket.request(message), response.type == Int(RTM_NEWLINK),
            let link = LinkState(response.payload, namespace: namespace)
        else { throw SystemError(call: "RTM_GETLINK", code: EPROTO) }
        return link
    }

    /// A request with an `ifinfomsg`. RTM_SETLINK asks for an acknowledgement; RTM_GETLINK is answered by
    /// the link.
    private static func linkMessage(
        _ type: Int32, index: UInt32, flags: UInt32 = 0, mask: UInt32 = 0
    ) -> NetlinkMessage {
        var message = NetlinkMessage(
            type: type, flags: type == Int32(RTM_SETLINK) ? NLM_F_ACK : 0)
        // Family, padding and hardware type.
        message.appendFixed(UInt32(AF_UNSPEC))
        message.appendFixed(index)
        message.appendFixed(flags)
        message.appendFixed(mask)
        return message
    }
}
