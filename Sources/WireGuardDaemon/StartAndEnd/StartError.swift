import LinuxIO
import WireGuard

/// Why a daemon cannot start: one line that says what, and how to mend it.
package enum StartError: Error, CustomStringConvertible {
    case tun(TunDeviceError)
    case socket(UnixListenerError)
    case system(SystemError)
    /// libsodium found no source of randomness.
    case cryptography
    /// What `WG_AEAD` asks for cannot be used.
    case aead(AEADImplementation, AEADImplementation.Obstacle)

    package var description: String {
        switch self {
        case .tun(let error): error.description
        case .socket(let error): error.description
        case .system(let error): "cannot start: \(error)"
        case .aead(let implementation, let obstacle):
            "WG_AEAD=\(implementation.rawValue) cannot be used: \(obstacle); unset WG_AEAD to use what can be"
        case .cryptography: "the system has no source of random numbers (getrandom, /dev/urandom)"
        }
    }
}
