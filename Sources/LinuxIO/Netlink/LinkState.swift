import CLinux
import Glibc

/// A link as the kernel described it last.
package struct LinkState: Equatable, Sendable {
    /// Its index; unique within its network namespace only.
    package var index: UInt32
    /// Whether it is administratively up.
    package var isUp: Bool
    /// Its MTU in bytes.
    package var mtu: Int
    /// The identifier of the network namespace where it is, nil for the one that we started in.
    package var namespace: Int32?
    /// How many packets wait in it at most.
    package var transmitQueueLength: Int
    /// How many bytes a superpacket has at most.
    package var maximumSuperpacket: Int

    /// Reads the payload of an RTM_NEWLINK message; nil if it is cut short.
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
