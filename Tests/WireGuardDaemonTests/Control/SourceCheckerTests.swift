import LinuxIO
import Packets
import Testing

@testable import WireGuardDaemon

@Suite("Source checker")
struct SourceCheckerTests {
    private static let source4 = SourceAddress(
        address: .v4(IPv4Address(bits: 0x0A01_0002)), interfaceIndex: 5)
    private static let source6 = SourceAddress(
        address: .v6(IPv6Address(high: 0xFD00 << 48, low: 2)), interfaceIndex: 5)
    private static let linkLocal = SourceAddress(
        address: .v6(IPv6Address(high: 0xFE80 << 48, low: 2)), interfaceIndex: 5)
    private static let anyLink = SourceAddress(address: source4.address, interfaceIndex: 0)
    private static let scoped: UInt32 = 5

    private static let route6 = RouteLookup.Answer.route(.init(interfaceIndex: 6))
    private static let refused = RouteLookup.Answer.refused(101)

    /// Source, scope of the remote, the answers with and without the source, and whether it may be used.
    static let cases: [(SourceAddress, UInt32, RouteLookup.Answer, RouteLookup.Answer, Bool)] = [
        (source4, 0, .route(.init(interfaceIndex: 5)), route6, true),
        (source4, 0, route6, route6, false),
        (anyLink, 0, route6, route6, true),
        (source4, 0, refused, route6, false),
        (source4, 0, refused, refused, true),
        (source4, 0, refused, .unknown, true),
        (source4, 0, .unknown, route6, true),
        (source6, 0, route6, route6, true),
        (source6, 0, refused, route6, true),
        (linkLocal, 0, .route(.init(interfaceIndex: 5)), route6, true),
        (linkLocal, 0, route6, route6, false),
        (linkLocal, scoped, route6, route6, true),
    ]

    @Test(
        "an IPv4 source is dropped if its address is gone or the route leaves by another link; a missing route costs nothing",
        arguments: cases)
    func rule(
        source: SourceAddress, scope: UInt32, answer: RouteLookup.Answer,
        other: RouteLookup.Answer, isUsable: Bool
    ) {
        let address: IPAddress =
            if case .v4 = source.address {
                .v4(IPv4Address(bits: 0x0A03_0002))
            } else {
                .v6(IPv6Address(high: 0xFD01 << 48, low: 2))
            }
        let remote = SocketAddress(address: address, port: 1, scope: scope)
        let result = SourceChecker.isUsable(
            source, for: remote, answer, hasAgreed: false
        ) { other }
        #expect(result == isUsable)
    }
}

@Suite("Source checker: a replaced route")
struct ReplacedRouteTests {
    @Test("an IPv6 source ends with the route by its link, and stays if the route never left by it")
    func replacedRoute() {
        let source = SourceAddress(
            address: .v6(IPv6Address(high: 0xFD00 << 48, low: 2)), interfaceIndex: 5)
        let remote = SocketAddress(
            address: .v6(IPv6Address(high: 0xFD01 << 48, low: 2)), port: 1)
        for hasAgreed in [false, true] {
            let isUsable = SourceChecker.isUsable(
                source, for: remote, .route(.init(interfaceIndex: 6)), hasAgreed: hasAgreed
            ) { .unknown }
            #expect(isUsable == !hasAgreed)
        }
    }
}

@Suite("Source follower")
struct SourceFollowerTests {
    @Test("the first event causes a check at once, and a flood of events one check per interval")
    func flood() {
        for (peers, most) in [(1, 100), (250, 20), (1000, 5), (100_000, 5)] {
            var follower = SourceFollower()
            let isDue = follower.isCheckDue(now: at(0), peers: peers)
            #expect(!isDue, "there was no event")
            var checks = 0
            for millisecond in 0..<UInt64(100) {
                follower.noteEvent()
                if follower.isCheckDue(now: at(millisecond), peers: peers) { checks += 1 }
            }
            #expect(checks == most)
        }
    }

    @Test("the last event is not forgotten")
    func lastEvent() {
        var follower = SourceFollower()
        for isDue in [true, false] {
            follower.noteEvent()
            let isCheckDue = follower.isCheckDue(now: at(0), peers: 1000)
            #expect(isCheckDue == isDue)
        }
        #expect(follower.nextCheck == at(20))
        let isLastDue = follower.isCheckDue(now: at(20), peers: 1000)
        #expect(isLastDue)
        #expect(follower.nextCheck == nil)
    }

    @Test("after the clock was set back, checks go on")
    func clockStep() {
        var follower = SourceFollower()
        for time in [10_000, 0] as [UInt64] {
            follower.noteEvent()
            let isDue = follower.isCheckDue(now: at(time), peers: 1000)
            #expect(isDue)
        }
    }
}
