import CLinux

/// What kind of link it is, and of a TUN, how it was made: TUNGETIFF cannot tell, since it shows
/// IFF_NOFILTER in the bit of IFF_NO_PI.
struct LinkKind: Equatable, Sendable {
    /// What the kernel calls it: `tun`, `veth`, `wireguard`; empty for hardware.
    var name = ""
    /// Whether it is a TAP, if it is a TUN or TAP.
    var isTap = false
    /// Whether packets are preceded by four bytes of packet information.
    var hasPacketInformation = false
    /// Whether it stays when nobody has it open.
    var isPersistent = false
    /// Whether several queues can be attached.
    var isMultiQueue = false
    /// How many are attached, of a device with several queues.
    var queues = 0

    /// Reads the payload of an RTM_NEWLINK message.
    init(_ payload: ArraySlice<UInt8>) {
        for attribute in NetlinkParts(.attributes, payload.dropFirst(16))
        where attribute.type == Int(IFLA_LINKINFO) {
            for part in NetlinkParts(.attributes, attribute.payload) {
                switch part.type {
                case Int(IFLA_INFO_KIND):
                    name = String(decoding: part.payload.prefix { $0 != 0 }, as: UTF8.self)
                case Int(IFLA_INFO_DATA) where name == "tun": describe(part.payload)
                default: break
                }
            }
        }
    }

    private mutating func describe(_ payload: ArraySlice<UInt8>) {
        for attribute in NetlinkParts(.attributes, payload) {
            let value = Int(attribute.load(UInt8.self) ?? 0)
            switch attribute.type {
            case Int(IFLA_TUN_TYPE): isTap = value != Int(IFF_TUN)
            case Int(IFLA_TUN_PI): hasPacketInformation = value != 0
            case Int(IFLA_TUN_PERSIST): isPersistent = value != 0
            case Int(IFLA_TUN_MULTI_QUEUE): isMultiQueue = value != 0
            case Int(IFLA_TUN_NUM_QUEUES):
                queues = Int(attribute.load(UInt32.self) ?? 0)
            default: break
            }
        }
    }
}
