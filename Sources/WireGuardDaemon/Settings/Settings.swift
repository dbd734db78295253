import LinuxIO
import WireGuard

/// How a daemon works: the command line and the environment, read once.
package struct Settings: Sendable {
    /// The interface to make.
    package var interface: InterfaceName
    /// Whether the process stays in the foreground.
    package var mode: Mode
    /// The directory of the configuration socket, an absolute path.
    package var socketDirectory: String
    /// What is logged (`LOG_LEVEL`); nil if the variable is not set.
    package var logLevel: LogLevel?
    /// A TUN that another program opened (`WG_TUN_FD`).
    package var tunDescriptor: Int32?
    /// A listening socket that another program opened (`WG_UAPI_FD`).
    package var uapiDescriptor: Int32?
    /// Which offloads may be used.
    package var offloads: Offloads
    /// The number of workers (`WG_WORKERS`); nil for one per processor, up to a limit.
    package var workers: Int?
    /// The AEAD implementation for packets (`WG_AEAD`); nil for the fastest.
    package var aead: AEADImplementation?

    /// Foreground or background.
    package enum Mode: Sendable {
        case foreground
        case daemon
    }

    /// The default directory of the socket, where `wg` looks.
    package static let defaultSocketDirectory = "/var/run/wireguard"

    /// The maximum number of workers, unless `WG_WORKERS` sets it.
    static let maximumWorkers = 8

    /// Combines the command line with the environment.
    ///
    /// - Parameter environment: looks up a variable; nil if it is not set.
    package init(
        interface: InterfaceName, foreground: Bool, socketDirectory: String,
        environment: (String) -> String? = Environment.value
    ) throws(SettingsError) {
        let variables = SettingsVariables(environment)
        self.interface = interface
        self.socketDirectory = Self.absolute(socketDirectory)
        let staysInForeground = environment("WG_PROCESS_FOREGROUND") == "1"
        mode = foreground || staysInForeground ? .foreground : .daemon
        // Other programs read LOG_LEVEL too: an unknown level must not keep the tunnel from starting.
        logLevel = try variables.parse("LOG_LEVEL") { LogLevel(name: $0) ?? .info }
        tunDescriptor = try variables.parse("WG_TUN_FD", Self.descriptor)
        uapiDescriptor = try variables.parse("WG_UAPI_FD", Self.descriptor)
        workers = try variables.parse("WG_WORKERS") { text in
            Int(text).flatMap { (1...64).contains($0) ? $0 : nil }
        }
        aead = try variables.aead()
        offloads = try Offloads(variables)
    }

    /// The log level in effect.
    var effectiveLogLevel: LogLevel { logLevel ?? .info }

    /// The number of workers for a machine.
    ///
    /// - Parameter isMultiQueue: whether the TUN has a queue for each worker.
    func workerCount(processors: Int, isMultiQueue: Bool) -> Int {
        isMultiQueue ? workers ?? min(processors, Self.maximumWorkers) : 1
    }

    /// Describes the AEAD implementation that the environment selects, such as "lanes (AVX-512)".
    ///
    /// It tests the implementation, which a process must not do before it forks.
    package static var aeadName: String {
        aeadName(environment: Environment.value)
    }

    static func aeadName(environment: (String) -> String?) -> String {
        guard Cryptography.isReady else { return "nothing: libsodium does not start" }
        let wanted = try? SettingsVariables(environment).aead()
        let chosen = (wanted ?? nil) ?? .fastest
        guard let obstacle = chosen.obstacle else { return chosen.nameAndVersion }
        return "nothing: \(chosen.nameAndVersion) cannot be used, \(obstacle)"
    }

    /// A daemon leaves its working directory, so relative paths are resolved first.
    private static func absolute(_ path: String) -> String {
        guard !path.hasPrefix("/"), let directory = Environment.workingDirectory else {
            return path
        }
        return "\(directory)/\(path)"
    }

    private static func descriptor(_ text: String) -> Int32? {
        Int32(text).flatMap { $0 >= 0 ? $0 : nil }
    }
}
