import CLinux
import Glibc
import Packets

extension RouteSocket {
    /// Reads the directed broadcast addresses of the IPv4 networks of a link, as the kernel routes them.
    ///
    /// Consumes the socket, as it is strict afterwards (NETLINK_GET_STRICT_CHK).
    consuming func broadcastAddresses(of index: UInt32, namespace: Int32?) throws(SystemError)
        -> [IPv4Address]
    {
        var message = NetlinkMessage(type: Int32(RTM_GETADDR), flags: NLM_F_DUMP)
        // ifaddrmsg: family, prefix length, flags, scope, index.
        message.appendFixed(UInt8(AF_INET))
        for _ in 0..<3 { message.appendFixed(UInt8(0)) }
        message.appendFixed(index)
        if let namespace { message.add(Int(IFA_TARGET_NETNSID), namespace) }
        return try socket.dump(message, expecting: Int32(RTM_NEWADDR), call: "RTM_GETADDR")
            .flatMap(Self.broadcastAddresses)
    }

    /// The broadcast addresses in the payload of an RTM_NEWADDR message: the configured one and the last
    /// address of the network.
    static func broadcastAddresses(_ payload: ArraySlice<UInt8>) -> [IPv4Address] {
        guard payload.count >= 8 else { return [] }
        let prefixLength = Int(payload[payload.startIndex + 1])
        var found: [IPv4Address] = []
        for attribute in NetlinkParts(.attributes, payload.dropFirst(8)) {
            guard let bits = attribute.load(UInt32.self).map(UInt32.init(bigEndian:)) else {
                continue
            }
            switch attribute.type {
            case Int(IFA_BROADCAST): found.append(IPv4Address(bits: bits))
            // A /31 or /32 has no broadcast address (RFC 3021).
            case Int(IFA_ADDRESS) where prefixLength < 31:
                found.append(IPv4Address(bits: bits | UInt32.max >> UInt32(prefixLength)))
            default: break
            }
        }
        return found
    }
}
