import CLinux
import Glibc
import Packets
import Testing

@testable import LinuxIO

@Suite("Route lookup", .serialized)
struct RouteLookupTests {
    private let remote4 = SocketAddress(address: .v4(IPv4Address(bits: 0x0A03_0002)), port: 51820)
    private let remote6 = SocketAddress(
        address: .v6(IPv6Address(high: 0xFD00_0003 << 32, low: 2)), port: 51820)
    private let local = IPAddress.v4(IPv4Address(bits: 0x0A01_0002))
    private let socket = RouteLookup.Socket()

    private typealias Ask = (SocketAddress, IPAddress?, RouteLookup.Socket) -> RouteLookup.Answer

    /// In a namespace with two links, whose routers are 10.1.0.1 and 10.2.0.1.
    private func inNamespace(_ body: (Ask, [UInt32]) throws -> Void) throws {
        try Host.inNewNamespace {
            for number in [1, 2] {
                try Host.run("ip link add name w\(number) type veth peer name r\(number)")
                try Host.run("ip link set w\(number) up")
                try Host.run("ip link set r\(number) up")
                try Host.run("ip addr add 10.\(number).0.2/24 dev w\(number)")
                try Host.run("ip -6 addr add fd00:\(number)::2/64 dev w\(number) nodad")
            }
            let routes = try RouteSocket()
            let links = try ["w1", "w2"].map {
                try routes.link(named: #require(InterfaceName($0))).index
            }
            let lookup = try RouteLookup()
            try body({ lookup.route(to: $0, from: $1, through: $2) }, links)
        }
    }

    private func gateway(_ bits: UInt32) -> IPAddress { .v4(IPv4Address(bits: bits)) }

    @Test("the answer names the link and the gateway that the kernel would use now")
    func route() throws {
        try inNamespace { ask, links in
            #expect(
                ask(remote4, local, socket) == .refused(ENETUNREACH))
            try Host.run("ip route add default via 10.1.0.1 metric 100")
            #expect(
                ask(remote4, local, socket)
                    == .route(.init(interfaceIndex: links[0], gateway: gateway(0x0A01_0001))))
            try Host.run("ip route add default via 10.2.0.1 metric 50")
            #expect(
                ask(remote4, local, socket)
                    == .route(.init(interfaceIndex: links[1], gateway: gateway(0x0A02_0001))))
            #expect(
                ask(SocketAddress(address: gateway(0x0A01_0009), port: 1), nil, socket)
                    == .route(.init(interfaceIndex: links[0])))
        }
    }

    @Test(
        "an IPv4 source that is no address of the host is refused, and the remote has a route without it"
    )
    func unknownSource() throws {
        try inNamespace { ask, links in
            try Host.run("ip route add default via 10.1.0.1")
            try Host.run("ip addr del 10.1.0.2/24 dev w1")
            try Host.run("ip route add default via 10.2.0.1")
            let answer = ask(remote4, local, socket)
            let isRefused = if case .refused = answer { true } else { false }
            #expect(isRefused, "\(answer)")
            #expect(
                ask(remote4, nil, socket)
                    == .route(.init(interfaceIndex: links[1], gateway: gateway(0x0A02_0001))))
        }
    }

    @Test("policy rules count: by source, mark and port")
    func rules() throws {
        try inNamespace { ask, links in
            try Host.run("ip route add default via 10.1.0.1")
            try Host.run("ip route add default via 10.2.0.1 table 100")
            for (rule, source, marked) in [
                ("fwmark 7", nil, RouteLookup.Socket(mark: 7)),
                ("from 10.1.0.2", local, socket),
                ("ipproto udp sport 4500", nil, RouteLookup.Socket(port: 4500)),
            ] {
                let before = ask(remote4, source, marked)
                try Host.run("ip rule add \(rule) lookup 100")
                let after = ask(remote4, source, marked)
                try Host.run("ip rule del \(rule) lookup 100")
                #expect(Self.link(before) == links[0], "\(rule)")
                #expect(Self.link(after) == links[1], "\(rule)")
            }
        }
    }

    @Test("IPv6: the route and the scope of a link-local remote")
    func version6() throws {
        try inNamespace { ask, links in
            #expect(
                ask(remote6, nil, socket) == .refused(ENETUNREACH))
            try Host.run("ip -6 route add fd00:3::/64 via fd00:2::1")
            #expect(
                ask(remote6, nil, socket)
                    == .route(
                        .init(
                            interfaceIndex: links[1],
                            gateway: .v6(IPv6Address(high: 0xFD00_0002 << 32, low: 1)))))
            for link in links {
                let remote = SocketAddress(
                    address: .v6(IPv6Address(high: 0xFE80 << 48, low: 9)), port: 1, scope: link)
                #expect(
                    ask(remote, nil, socket)
                        == .route(.init(interfaceIndex: link)))
            }
        }
    }

    @Test("a response that is malformed is no answer")
    func malformed() {
        #expect(RouteLookup.answer([]) == .unknown)
        var bytes = NetlinkMessage(type: Int32(RTM_NEWROUTE), flags: 0).bytes
        #expect(RouteLookup.answer(bytes) == .unknown)
        bytes += [UInt8](repeating: 0, count: 12)
        bytes[0] = UInt8(bytes.count)
        #expect(RouteLookup.answer(bytes) == .unknown, "it names no link")
    }

    private static func link(_ answer: RouteLookup.Answer) -> UInt32? {
        if case .route(let route) = answer { route.interfaceIndex } else { nil }
    }
}
