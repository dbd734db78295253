import LinuxIO
import WireGuard

/// Why a daemon cannot start. The description is one line that says what is wrong and how to correct it.
package enum StartError: Error, CustomStringConvertible {
    case tun(TunDeviceError)
    case socket(UnixListenerError)
    case system(SystemError)
    /// libsodium has no source of randomness.
    case cryptography
    /// The implementation that `WG_AEAD` selects cannot be used.
    case aead(AEADImplementation, AEADImplementation.Obstacle)

    package var description: String {
        switch self {
        case .tun(let error): error.description
        case .socket(let error): error.description
        case .system(let error): "cannot start: \(error)"
        case .aead(let implementation, let obstacle):
            "WG_AEAD=\(implementation.rawValue) cannot be used: \(obstacle); unset WG_AEAD to use the fastest that works"
        case .cryptography:
            "the system has no source of random numbers (getrandom, /dev/urandom)"
        }
    }

    /// The line that the command prints.
    func message(for interface: InterfaceName) -> String {
        "swireguard-go: \(interface): \(self)"
    }
}
