import Testing

@testable import LinuxIO

@Suite("Route monitor", .serialized)
struct RouteMonitorTests {
    @Test(
        "everything that a route depends on is reported: routes, rules, next hops, links, addresses"
    )
    func events() throws {
        try Host.inNewNamespace {
            let monitor = try RouteMonitor()
            let quiet = monitor.drain()
            #expect(!quiet)
            for change in [
                "ip addr add 10.1.2.3/24 dev lo", "ip route add 10.9.0.0/16 dev lo",
                "ip route del 10.9.0.0/16 dev lo", "ip addr del 10.1.2.3/24 dev lo",
                "ip addr add 2001:db8::1/64 dev lo", "ip -6 route add 2001:db8:1::/64 dev lo",
                "ip rule add to 10.0.0.0/8 lookup 100", "ip -6 rule add fwmark 7 lookup 100",
                "ip nexthop add id 1 dev lo", "ip link add name v0 type veth peer name v1",
                "ip link set v0 up",
            ] {
                try Host.run(change)
                let hasChanged = monitor.drain()
                #expect(hasChanged, "\(change)")
            }
        }
    }

    @Test("one call discards a limited number of events, and a flood of them is one change")
    func flood() throws {
        try Host.inNewNamespace {
            let monitor = try RouteMonitor()
            for index in 0..<100 { try Host.run("ip addr add 10.1.0.\(index)/32 dev lo") }
            let hasChanged = monitor.drain()
            #expect(hasChanged)
            let hasMore = Host.isReadable(monitor.descriptor, milliseconds: 0)
            #expect(hasMore)
            var calls = 0
            while monitor.drain() { calls += 1 }
            #expect((1...10).contains(calls))
        }
    }
}
