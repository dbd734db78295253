import CLinux

/// The kind of a link, and how a TUN was created.
///
/// TUNGETIFF cannot report the latter: it shows IFF_NOFILTER in the bit of IFF_NO_PI.
struct LinkKind: Equatable, Sendable {
    /// The kernel's name for it: `tun`, `veth`, `wireguard`; empty for hardware.
    var name = ""
    /// Whether a link of kind `tun` is a TAP.
    var isTap = false
    /// Whether four bytes of packet information precede each packet.
    var hasPacketInformation = false
    /// Whether the link stays when no process has it open.
    var isPersistent = false
    /// Whether several queues can be attached.
    var isMultiQueue = false
    /// How many queues are attached; 0 for a link with a single queue.
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
