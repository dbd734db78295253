import CLinux
import Glibc

/// The state of a link, as the kernel last described it.
package struct LinkState: Equatable, Sendable {
    /// Its index, unique within its network namespace only.
    package var index: UInt32
    /// Whether it is administratively up.
    package var isUp: Bool
    /// Its MTU in bytes.
    package var mtu: Int
    /// The identifier of its network namespace, nil for the namespace of the socket that asked.
    package var namespace: Int32?
    /// The maximum number of packets in its queue.
    package var transmitQueueLength: Int
    /// The maximum size of a super-packet, in bytes.
    package var maximumSuperpacket: Int

    /// Reads the payload of an RTM_NEWLINK message; nil if it is shorter than an `ifinfomsg`.
    init?(_ payload: ArraySlice<UInt8>, namespace: Int32?) {
        guard let index = NetlinkParts.load(UInt32.self, payload, at: 4),
            let flags = NetlinkParts.load(UInt32.self, payload, at: 8), payload.count >= 16
        else { return nil }
        self.index = index
        self.namespace = namespace
        isUp = flags & Self.upFlag != 0
        (mtu, transmitQueueLength, maximumSuperpacket) = (0, 0, 0)
        for attribute in NetlinkParts(.attributes, payload.dropFirst(16)) {
            let value = Int(attribute.load(UInt32.self) ?? 0)
            switch attribute.type {
            case Int(IFLA_MTU): mtu = value
            case Int(IFLA_TXQLEN): transmitQueueLength = value
            case Int(IFLA_GSO_MAX_SIZE): maximumSuperpacket = value
            default: break
            }
        }
    }

    static let upFlag = UInt32(IFF_UP)
}
