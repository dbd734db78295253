import Glibc

/// An error while a TUN is created, adopted or configured.
package enum TunDeviceError: Error, Equatable, Sendable, CustomStringConvertible {
    /// /dev/net/tun does not exist.
    case noDriver
    /// The process is not root and lacks CAP_NET_ADMIN.
    case notPermitted
    /// Another process has a TUN of that name open.
    case nameInUse(InterfaceName)
    /// A link of another kind has that name.
    case nameTaken(InterfaceName)
    /// The descriptor is not a TUN without packet information (IFF_TUN | IFF_NO_PI).
    case notATun
    /// The device was created without IFF_MULTI_QUEUE.
    case singleQueue
    /// Any other error.
    case system(SystemError)

    /// One line: the problem and its remedy.
    package var description: String {
        switch self {
        case .noDriver:
            "/dev/net/tun does not exist: load the tun module (modprobe tun), or pass the device to the container"
        case .notPermitted:
            "no permission to create a TUN interface: run as root or with CAP_NET_ADMIN"
        case .nameInUse(let name):
            "the interface \(name) is in use by another process: choose another name or stop that process"
        case .nameTaken(let name):
            "there is another interface named \(name): delete it (ip link delete \(name)) or choose another name"
        case .notATun: "the given descriptor is not a TUN created with IFF_TUN and IFF_NO_PI"
        case .singleQueue: "the TUN was created without IFF_MULTI_QUEUE"
        case .system(let error): "cannot set up the TUN interface: \(error)"
        }
    }

    /// The underlying error of `.system`; EINVAL for the others.
    package var asSystemError: SystemError {
        if case .system(let error) = self { return error }
        return SystemError(call: "TUNSETIFF", code: EINVAL)
    }
}
