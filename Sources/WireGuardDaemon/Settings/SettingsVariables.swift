import WireGuard

/// The variables of the environment that hold settings. An empty variable counts as not set.
struct SettingsVariables {
    private let values: [String: String]

    private static let names = [
        "LOG_LEVEL", "WG_PROCESS_FOREGROUND", "WG_TUN_FD", "WG_UAPI_FD", "WG_WORKERS", "WG_AEAD",
        "WG_TUN_OFFLOAD", "WG_TUN_USO", "WG_UDP_GSO", "WG_UDP_GRO",
    ]

    /// Reads the variables.
    ///
    /// - Parameter environment: looks up a variable; nil if it is not set.
    init(_ environment: (String) -> String?) {
        var values: [String: String] = [:]
        for name in Self.names { values[name] = environment(name) }
        self.values = values
    }

    /// The text of a variable; nil if it is not set or empty.
    subscript(name: String) -> String? {
        values[name].flatMap { $0.isEmpty ? nil : $0 }
    }

    /// The value of a variable; nil if it is not set or empty.
    func parse<Value>(
        _ name: String, _ read: (String) -> Value?
    ) throws(SettingsError) -> Value? {
        guard let text = self[name] else { return nil }
        guard let value = read(text) else {
            throw .invalidVariable(name: name, value: text)
        }
        return value
    }

    /// The value of a switch, which is on if it is not set.
    func isOn(_ name: String) throws(SettingsError) -> Bool {
        let value: Bool? = try parse(name) { text in
            switch text {
            case "0", "off", "false": false
            case "1", "on", "true": true
            default: nil
            }
        }
        return value ?? true
    }

    /// The AEAD implementation that `WG_AEAD` names.
    func aead() throws(SettingsError) -> AEADImplementation? {
        try parse("WG_AEAD", AEADImplementation.init(name:))
    }
}
