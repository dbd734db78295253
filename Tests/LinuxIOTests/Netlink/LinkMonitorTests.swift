import CLinux
import Glibc
import LinuxIO
import Packets
import Testing

@Suite("Link and route events", .serialized)
struct LinkMonitorTests {
    @Test("flags and MTU of the watched link are reported in order, those of other links are not")
    func changes() throws {
        try Host.inNewNamespace {
            let device = try TunDevice.create(try #require(InterfaceName("iot0")))
            var monitor = try LinkMonitor(device)
            let isUp = monitor.state.isUp
            #expect(!isUp)
            try Host.run("ip link add iot1 type veth peer name iot2")
            try Host.run("ip link set iot1 up")
            try Host.run("ip link set iot0 up")
            try Host.run("ip link set iot0 mtu 1300")
            try Host.run("ip link set iot0 down")
            let seen = monitor.events(of: device).map(Self.brief)
            #expect(seen == ["up 1500", "up 1300", "down 1300"])
            let rest = monitor.events(of: device)
            #expect(rest.isEmpty)
        }
    }

    @Test("a renamed link is followed")
    func renamed() throws {
        try Host.inNewNamespace {
            let device = try TunDevice.create(try #require(InterfaceName("iot0")))
            var monitor = try LinkMonitor(device)
            try Host.run("ip link set iot0 name iot9")
            try Host.run("ip link set iot9 up")
            let seen = monitor.events(of: device).map(Self.brief)
            #expect(seen == ["up 1500"])
            let name = try device.name()
            #expect(name.rawValue == "iot9")
        }
    }

    @Test("a deleted link is reported")
    func removed() throws {
        try Host.inNewNamespace {
            let device = try TunDevice.create(try #require(InterfaceName("iot0")))
            var monitor = try LinkMonitor(device)
            try Host.run("ip link delete iot0")
            let seen = monitor.events(of: device)
            #expect(seen.last == .removed)
        }
    }

    @Test("events follow the link into another namespace, a third, and back")
    func moved() throws {
        try Host.inNewNamespace {
            let device = try TunDevice.create(try #require(InterfaceName("iot0")))
            var monitor = try LinkMonitor(device)
            let followsMoves = monitor.followsMoves
            try #require(followsMoves, "this test needs CAP_NET_BROADCAST")
            try Host.inNamedNamespace("io-first") { first in
                try Host.inNamedNamespace("io-second") { second in
                    // Occupy the index there, so that the kernel assigns another one.
                    let index = monitor.state.index
                    while try Self.lastIndex(first) < index {
                        try Host.run("ip -n \(first) link add type veth")
                    }
                    try Host.run("ip link set iot0 netns \(first)")
                    let move = monitor.events(of: device).map(Self.brief)
                    #expect(move == ["moved"])
                    let movedIndex = monitor.state.index
                    #expect(movedIndex != index)
                    try Self.expectEvents(in: first, &monitor, device)

                    try Host.run("ip -n \(first) link set iot0 netns \(second)")
                    let further = monitor.events(of: device).map(Self.brief)
                    #expect(further == ["moved"])
                    try Self.expectEvents(in: second, &monitor, device)

                    let home = try Host.Sleeper()
                    try Host.run("ip -n \(second) link set iot0 netns \(home.child)")
                    let back = monitor.events(of: device).map(Self.brief)
                    #expect(back.first == "moved")
                    try Host.run("ip link set iot0 up")
                    let up = monitor.events(of: device).map(Self.brief)
                    #expect(up == ["up 1300"])
                    let namespace = monitor.state.namespace
                    #expect(namespace == nil)
                }
            }
        }
    }

    @Test("without CAP_NET_BROADCAST a move is reported, and refresh reports later changes")
    func movedWithoutBroadcast() throws {
        try Host.inNewNamespace {
            let device = try TunDevice.create(try #require(InterfaceName("iot0")))
            var made: LinkMonitor?
            try Host.without(CAP_NET_BROADCAST) { made = try LinkMonitor(device) }
            guard var monitor = made.take() else { return }
            let followsMoves = monitor.followsMoves
            #expect(!followsMoves)
            try Host.inNamedNamespace("io-poll") { name in
                try Host.run("ip link set iot0 netns \(name)")
                let move = monitor.events(of: device).map(Self.brief)
                #expect(move == ["moved"])
                try Host.run("ip -n \(name) link set iot0 up mtu 1300")
                let silent = monitor.events(of: device)
                #expect(silent.isEmpty)
                let event = monitor.refresh(device).map(Self.brief)
                #expect(event == "up 1300")
                let again = monitor.refresh(device)
                #expect(again == nil)
            }
        }
    }

    @Test("a deleted namespace is reported as an error of the descriptor, then as a deleted link")
    func namespaceDeleted() throws {
        try Host.inNewNamespace {
            let device = try TunDevice.create(try #require(InterfaceName("iot0")))
            var monitor = try LinkMonitor(device)
            let epoll = try Epoll()
            try epoll.add(device.descriptor, token: 0)
            try Host.inNamedNamespace("io-gone") { name in
                try Host.run("ip link set iot0 netns \(name)")
                let move = monitor.events(of: device).map(Self.brief)
                #expect(move == ["moved"])
            }
            // The kernel deletes a namespace some time after its last user exits, and sends no event
            // for its links.
            var events = EpollEvents(capacity: 1)
            let count = try epoll.wait(into: &events, milliseconds: 10_000)
            #expect(count == 1)
            let event = monitor.refresh(device)
            #expect(event == .removed)
        }
    }

    @Test("after lost events the current state is reported")
    func overrun() throws {
        try Host.inNewNamespace {
            let device = try TunDevice.create(try #require(InterfaceName("iot0")))
            var monitor = try LinkMonitor(device)
            var small: Int32 = 1
            _ = unsafe setsockopt(
                monitor.descriptor.rawValue, SOL_SOCKET, SO_RCVBUF, &small, 4)
            let routes = try RouteSocket()
            let index = monitor.state.index
            for mtu in 1000..<1050 { try routes.set(mtu: mtu, of: index) }
            try routes.bringUp(index)
            let seen = monitor.events(of: device).map(Self.brief)
            #expect(seen.last == "up 1049")
        }
    }

    @Test("the directed broadcast addresses of the link follow its addresses")
    func broadcastAddresses() throws {
        try Host.inNewNamespace {
            let device = try TunDevice.create(try #require(InterfaceName("iot0")))
            var monitor = try LinkMonitor(device)
            #expect(monitor.broadcastAddresses.isEmpty)
            try Host.run("ip addr add 10.1.2.3/24 dev iot0")
            try Host.run("ip addr add 10.9.0.0/31 dev iot0")
            try Host.run("ip addr add 10.5.0.1/16 dev lo")
            #expect(monitor.events(of: device).isEmpty)
            #expect(monitor.broadcastAddresses == [IPv4Address(bits: 0x0A01_02FF)])
            try Host.run("ip addr del 10.1.2.3/24 dev iot0")
            #expect(monitor.events(of: device).isEmpty)
            #expect(monitor.broadcastAddresses.isEmpty)
        }
    }

    private static func expectEvents(
        in namespace: String, _ monitor: inout LinkMonitor, _ device: borrowing TunDevice
    ) throws {
        try Host.run("ip -n \(namespace) link set iot0 up")
        try Host.run("ip -n \(namespace) link set iot0 mtu 1280")
        try Host.run("ip -n \(namespace) link set iot0 mtu 1300")
        try Host.run("ip -n \(namespace) link set iot0 down")
        let seen = monitor.events(of: device).map(brief)
        #expect(seen.suffix(4).contains("up 1280") && seen.suffix(2) == ["up 1300", "down 1300"])
    }

    private static func lastIndex(_ namespace: String) throws -> UInt32 {
        let text = try Host.run("ip -n \(namespace) -o link")
        let indices = text.split(separator: "\n").compactMap {
            $0.split(separator: ":").first.flatMap { UInt32($0) }
        }
        return indices.max() ?? 0
    }

    private static func brief(_ event: LinkMonitor.Event) -> String {
        switch event {
        case .changed(let link): "\(link.isUp ? "up" : "down") \(link.mtu)"
        case .moved: "moved"
        case .removed: "removed"
        case .forwarding: "forwarding"
        }
    }
}
