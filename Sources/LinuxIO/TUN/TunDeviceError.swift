/// Why a TUN could not be had.
package enum TunDeviceError: Error, Equatable, Sendable, CustomStringConvertible {
    /// There is no /dev/net/tun.
    case noDriver
    /// Neither root nor CAP_NET_ADMIN.
    case notPermitted
    /// Another daemon holds a TUN of that name.
    case nameInUse(InterfaceName)
    /// A link of another kind has that name.
    case nameTaken(InterfaceName)
    /// The descriptor is no TUN without packet information (IFF_TUN | IFF_NO_PI).
    case notATun
    /// The device was made without IFF_MULTI_QUEUE: it has one queue only.
    case singleQueue
    /// Anything else.
    case system(SystemError)

    /// One line that says what is wrong and how to mend it.
    package var description: String {
        switch self {
        case .noDriver:
            "there is no /dev/net/tun: load the tun module (modprobe tun), or pass the device to the container"
        case .notPermitted:
            "no permission to make a TUN interface: run as root or with CAP_NET_ADMIN"
        case .nameInUse(let name):
            "the interface \(name) is in use by another process: choose another name or end that one"
        case .nameTaken(let name):
            "there is another interface named \(name): delete it (ip link delete \(name)) or choose another name"
        case .notATun: "the descriptor given is no TUN made with IFF_TUN and IFF_NO_PI"
        case .singleQueue: "the TUN was made without IFF_MULTI_QUEUE"
        case .system(let error): "cannot set up the TUN interface: \(error)"
        }
    }
}
