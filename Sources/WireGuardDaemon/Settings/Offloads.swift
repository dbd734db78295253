/// Which offloads the environment leaves on; each falls back by itself where the kernel has it not.
package struct Offloads: Sendable {
    /// TCP and UDP super-packets from the TUN, and to it (`WG_TUN_OFFLOAD`).
    package var tun = true
    /// UDP super-packets from and to the TUN (`WG_TUN_USO`).
    package var tunDatagrams = true
    /// Segmented sends (`WG_UDP_GSO`).
    package var udpSegmentation = true
    /// Joined receives (`WG_UDP_GRO`).
    package var udpReceive = true

    init() throws(SettingsError) {
        tun = try Self.switchValue("WG_TUN_OFFLOAD")
        tunDatagrams = try Self.switchValue("WG_TUN_USO")
        udpSegmentation = try Self.switchValue("WG_UDP_GSO")
        udpReceive = try Self.switchValue("WG_UDP_GRO")
    }

    private static func switchValue(_ name: String) throws(SettingsError) -> Bool {
        let value: Bool? = try Settings.parse(name) { text in
            switch text {
            case "0", "off", "false": false
            case "1", "on", "true": true
            default: nil
            }
        }
        return value ?? true
    }
}
