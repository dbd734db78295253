import CLinux
import Glibc

/// Whether a network namespace forwards packets between its links.
enum Forwarding {
    /// RTNLGRP_IPV4_NETCONF and RTNLGRP_IPV6_NETCONF, as bits.
    static let groups: UInt32 = 1 << 23 | 1 << 24

    /// Whether the network namespace of the calling thread forwards packets of either family.
    static var isEnabled: Bool {
        ["ipv4/ip_forward", "ipv6/conf/all/forwarding"].contains { setting in
            let path = "/proc/sys/net/\(setting)"
            guard
                let file = try? SystemCall.descriptor(
                    "open", { unsafe clinux_open(path, O_RDONLY) }),
                let text = try? SystemCall.read(file, count: 8)
            else { return false }
            return text.first != UInt8(ascii: "0")
        }
    }

    /// Whether a message reports that forwarding changed for all links of a namespace.
    static func isChange(_ message: NetlinkParts.Part) -> Bool {
        guard message.type == Int(RTM_NEWNETCONF) else { return false }
        // netconfmsg is one byte, padded to four.
        let attributes = NetlinkParts(.attributes, message.payload.dropFirst(4))
        let concernsAllLinks = attributes.contains {
            $0.type == Int(NETCONFA_IFINDEX) && $0.load(Int32.self) == NETCONFA_IFINDEX_ALL
        }
        return concernsAllLinks && attributes.contains { $0.type == Int(NETCONFA_FORWARDING) }
    }
}
