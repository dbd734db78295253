import LinuxIO
import WireGuard

/// How a daemon is to run: the command line and the environment, read once.
package struct Settings: Sendable {
    /// The interface to make.
    package var interface: InterfaceName
    /// Whether the process stays where it was started.
    package var mode: Mode
    /// The directory of the configuration socket.
    package var socketDirectory: String
    /// What is logged; nil when the environment does not say.
    package var logLevel: LogLevel?
    /// A TUN that somebody else opened (`WG_TUN_FD`).
    package var tunDescriptor: Int32?
    /// A listening socket that somebody else opened (`WG_UAPI_FD`).
    package var uapiDescriptor: Int32?
    /// Which offloads may be used.
    package var offloads: Offloads
    /// How many threads carry packets; nil for as many as fit the machine.
    package var workers: Int?
    /// What seals and opens packets (`WG_AEAD`); nil for the fastest.
    package var aead: AEADImplementation?

    /// Foreground or background.
    package enum Mode: Sendable {
        case foreground
        case daemon
    }

    /// Where the socket lies unless told otherwise; the tools of WireGuard look there.
    package static let defaultSocketDirectory = "/var/run/wireguard"

    /// The MTU of a new interface: 1500 less 40 (IPv6), 8 (UDP) and 32 (a message's overhead).
    static let defaultMTU = 1420
    /// More threads than these are not started unless asked for.
    static let maximumWorkers = 8

    /// Reads the environment for what the command line leaves open.
    package init(
        interface: InterfaceName, foreground: Bool, socketDirectory: String
    ) throws(SettingsError) {
        self.interface = interface
        self.socketDirectory = Self.absolute(socketDirectory)
        let staysInForeground = Environment.value("WG_PROCESS_FOREGROUND") == "1"
        mode = foreground || staysInForeground ? .foreground : .daemon
        // Other programs read LOG_LEVEL too: a word of theirs must not keep the tunnel from starting.
        logLevel = try Self.parse("LOG_LEVEL") { LogLevel(name: $0) ?? .info }
        tunDescriptor = try Self.parse("WG_TUN_FD", Self.descriptor)
        uapiDescriptor = try Self.parse("WG_UAPI_FD", Self.descriptor)
        workers = try Self.parse("WG_WORKERS") { text in
            Int(text).flatMap { (1...64).contains($0) ? $0 : nil }
        }
        aead = try Self.parse("WG_AEAD", AEADImplementation.init(name:))
        offloads = try Offloads()
    }

    /// What would seal packets here, under the environment as it is: "lanes of AVX-512". For people; it is
    /// tried out, which a process that goes to the background may not do before.
    package static var aeadName: String {
        guard Cryptography.isReady else { return "nothing: libsodium does not start" }
        let wanted = try? parse("WG_AEAD", AEADImplementation.init(name:))
        let chosen = (wanted ?? nil) ?? .fastest
        guard let obstacle = chosen.obstacle else { return chosen.nameAndVersion }
        return "nothing: \(chosen.nameAndVersion) cannot be used, \(obstacle)"
    }

    /// A daemon leaves the directory that it was started in.
    private static func absolute(_ path: String) -> String {
        guard !path.hasPrefix("/"), let directory = Environment.workingDirectory else {
            return path
        }
        return "\(directory)/\(path)"
    }

    private static func descriptor(_ text: String) -> Int32? {
        Int32(text).flatMap { $0 >= 0 ? $0 : nil }
    }

    /// The value of a variable, nil if it is not set or empty.
    static func parse<Value>(
        _ name: String, _ read: (String) -> Value?
    ) throws(SettingsError) -> Value? {
        guard let text = Environment.value(name), !text.isEmpty else { return nil }
        guard let value = read(text) else {
            throw .invalidVariable(name: name, value: text)
        }
        return value
    }
}
