import LinuxIO

/// Which offloads the environment allows. Each is disabled automatically if the kernel lacks it.
package struct Offloads: Sendable {
    /// TCP and UDP super-packets from the TUN and to it (`WG_TUN_OFFLOAD`).
    package var tun = true
    /// UDP super-packets from the TUN and to it (`WG_TUN_USO`).
    package var tunDatagrams = true
    /// Segmented sends (`WG_UDP_GSO`).
    package var udpSegmentation = true
    /// Joined receives (`WG_UDP_GRO`).
    package var udpReceive = true

    init(_ variables: SettingsVariables) throws(SettingsError) {
        tun = try variables.isOn("WG_TUN_OFFLOAD")
        tunDatagrams = try variables.isOn("WG_TUN_USO")
        udpSegmentation = try variables.isOn("WG_UDP_GSO")
        udpReceive = try variables.isOn("WG_UDP_GRO")
    }

    /// The offloads to request from the TUN.
    var ofTun: TunOffloads {
        guard tun else { return [] }
        return tunDatagrams ? .all : TunOffloads.all.subtracting(.datagrams)
    }

    /// The receive offload to request from UDP sockets.
    var receiveOffload: UDPSocket.ReceiveOffload {
        udpReceive ? .enabled : .disabled
    }
}
