import CLinux
import Glibc
import Testing

@testable import LinuxIO

@Suite("Kernel control: link settings", .serialized)
struct LinkSettingsTests {
    @Test(
        "the limit is the size of one segmented send",
        arguments: [
            (mtu: 1420, size: 61_881), (1500, 61_137), (1280, 60_493), (576, 33_857),
            (9000, 62_957), (40_000, 65_536), (65_535, 65_536), (68, 1345),
        ])
    func superpacketLimit(mtu: Int, size: Int) {
        #expect(SuperpacketLimit(mtu: mtu).byteCount == size)
    }

    @Test("the limit follows the MTU, and is removed while the namespace forwards packets")
    func limitSuperpackets() throws {
        try Host.inNewNamespace {
            let tun = try Tun()
            let kernel = try KernelControl(tun: tun.device)
            let index = try tun.index()
            let routes = try RouteSocket()
            var monitor = try LinkMonitor(tun.device)
            func size() throws -> Int { try routes.link(index: index).maximumSuperpacket }
            #expect(try size() == 65_536)
            for (mtu, expected) in [(1420, 61_881), (1500, 61_137)] {
                try routes.set(mtu: mtu, of: index)
                try kernel.limitSuperpackets()
                #expect(try size() == expected)
            }
            _ = monitor.events(of: tun.device)

            for setting in ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"] {
                try Host.run("sysctl -qw \(setting)=1")
                #expect(monitor.events(of: tun.device).contains(.forwarding))
                try kernel.limitSuperpackets()
                #expect(try size() == 65_536)

                try Host.run("sysctl -qw \(setting)=0")
                #expect(monitor.events(of: tun.device).contains(.forwarding))
                try kernel.limitSuperpackets()
                #expect(try size() == 61_137)
            }
        }
    }

    @Test("the limit is set in the namespace of the interface, if the capability allows it")
    func limitAfterMove() throws {
        try Host.inNewNamespace {
            let device = try TunDevice.create(try #require(InterfaceName("iot0")))
            let kernel = try KernelControl(tun: device)
            try Host.inNamedNamespace("io-limit") { name in
                try Host.run("ip link set iot0 netns \(name)")
                try Host.without(CAP_SYS_ADMIN) {
                    #expect(throws: SystemError(call: "setns", code: EPERM)) {
                        try kernel.limitSuperpackets()
                    }
                }
                try kernel.limitSuperpackets()
                let link = try Host.run("ip -n \(name) -d link show iot0")
                #expect(link.contains("gso_max_size 61137"))
                // The calling thread stayed in its namespace.
                #expect(throws: SystemError(call: "netlink", code: ENODEV)) {
                    _ = try RouteSocket().link(named: try #require(InterfaceName("iot0")))
                }
            }
        }
    }

    @Test("settings of a renamed link change, those of a deleted link are an error")
    func renamedAndDeleted() throws {
        try Host.inNewNamespace {
            let device = try TunDevice.create(try #require(InterfaceName("iot0")))
            let kernel = try KernelControl(tun: device)
            try Host.run("ip link set iot0 name iot9")
            try kernel.limitSuperpackets()
            let routes = try RouteSocket()
            let link = try routes.link(named: try #require(InterfaceName("iot9")))
            #expect(link.maximumSuperpacket == 61_137)
            try Host.run("ip link delete iot9")
            #expect(throws: SystemError(call: "TUNGETIFF", code: EBADFD)) {
                try kernel.limitSuperpackets()
            }
            #expect(kernel.quietLink() == [SystemError(call: "TUNGETIFF", code: EBADFD)])
        }
    }

    @Test("the kernel sends nothing on its own, in the first namespace and after a move")
    func quiet() throws {
        try Host.inNewNamespace {
            let device = try TunDevice.create(try #require(InterfaceName("iot0")))
            let kernel = try KernelControl(tun: device)
            #expect(kernel.quietLink().isEmpty)
            try Host.run("ip link set iot0 up")
            let before = try Self.noise()
            #expect(before == Noise())
            try Host.inNamedNamespace("io-quiet") { name in
                try Host.run("ip link set iot0 netns \(name)")
                let loud = try Self.noise("ip netns exec \(name)")
                #expect(loud.redirects != ["0", "0"])
                try Host.without(CAP_SYS_ADMIN) {
                    #expect(kernel.quietLink() == [SystemError(call: "setns", code: EPERM)])
                }
                #expect(kernel.quietLink().isEmpty)
                try Host.run("ip -n \(name) link set iot0 up")
                let after = try Self.noise("ip netns exec \(name)")
                #expect(after == Noise())
            }
        }
    }

    /// Settings and addresses that make the kernel send packets.
    struct Noise: Equatable {
        var redirects = ["0", "0"]
        var addresses = ""
    }

    static func noise(_ prefix: String = "env") throws -> Noise {
        let directory = "/proc/sys/net/ipv4/conf"
        let text = try Host.run(
            "\(prefix) cat \(directory)/iot0/send_redirects \(directory)/all/send_redirects")
        return Noise(
            redirects: text.split(separator: "\n").map(String.init),
            addresses: try Host.run("\(prefix) ip -6 -o addr show dev iot0"))
    }
}
