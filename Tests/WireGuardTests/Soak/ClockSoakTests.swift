import Testing
import WireGuardTestSupport

@testable import WireGuard

@Suite("Soak: idle hosts, sleeping hosts and hosts whose clocks are wrong")
struct ClockSoakTests {
    // MARK: Silence

    /// The last traffic before silence: how many packets each host sent, milliseconds apart.
    static let lastWords: [(alice: Int, bob: Int, gap: UInt64)] = [
        (1, 0, 0), (0, 1, 0), (1, 1, 0), (1, 1, 9_995), (1, 1, 10_000), (1, 1, 10_005),
        (5, 0, 3_000), (0, 5, 3_000), (7, 7, 2_000), (100, 100, 100),
    ]

    @Test(
        "idle peers send at most one passive keepalive, then nothing for ten minutes",
        arguments: lastWords)
    func idle(alice: Int, bob: Int, gap: UInt64) {
        let network = Network()
        let pair = network.makePair(.mutualEndpoints)
        pair.connect()
        for number in 0..<max(alice, bob) {
            if number < alice { pair.alice.send(InnerPacket.udp4(from: 1, to: 2)) }
            network.advance(by: .milliseconds(gap))
            if number < bob { pair.bob.send(InnerPacket.udp4(from: 2, to: 1)) }
        }
        // 10 s, and 10 s more if data arrived while the first was due.
        let last = network.seen { network.advance(by: .seconds(21)) }
        #expect(last.allSatisfy { $0.isKeepalive })
        for host in [pair.alice, pair.bob] {
            #expect(last.count { $0.from == host.address } <= 2)
        }
        #expect(network.seen { network.advance(by: .seconds(600)) } == [])
    }

    // MARK: Sleep

    enum Sleeper: CaseIterable {
        case alice
        case bob
        case both
    }

    @Test(
        "after a sleep of 8 hours of either host the first packet starts a session at once",
        arguments: Sleeper.allCases, [0, 25] as [UInt16])
    func sleep(who: Sleeper, keepalive: UInt16) {
        for wakesBeforePacket in [false, true] {
            for sender in 0...1 {
                let network = Network(seed: 8)
                let pair = network.makePair(.mutualEndpoints)
                pair.connect()
                pair.alice.addPeer(
                    pair.bob.publicKey, allowedIPs: [], persistentKeepalive: keepalive)
                network.advance(by: .seconds(30))
                var sleepers: [Host] = []
                if who != .bob { sleepers.append(pair.alice) }
                if who != .alice { sleepers.append(pair.bob) }
                for host in sleepers { host.clockOffset += 8 * 3_600 * 1_000_000_000 }
                if wakesBeforePacket { for host in sleepers { host.handleTimeout() } }

                // Only the host that slept can tell from its clock.
                let hosts = [pair.alice, pair.bob]
                let from = sleepers.contains { $0 === hosts[sender] } ? sender : 1 - sender
                let (host, other) = (hosts[from], hosts[1 - from])
                for each in hosts { each.received = [] }
                host.send(InnerPacket.udp4(from: UInt8(from) + 1, to: UInt8(2 - from)))
                let first = network.eve.seen.last
                #expect(first?.type == 1 && first?.from == host.address)
                let time = network.advance(atMost: .seconds(6)) { other.received.count == 1 }
                #expect(time.map { $0 <= .milliseconds(50) } == true)
                #expect(pair.isAlive())
            }
        }
    }

    // MARK: Steps

    static let steps = scaled(release: 10_000, debug: 250)

    @Test(
        "10 000 steps (debug: 250) of both clocks by 10 s to a year, in both directions: no session gets stuck",
        arguments: [1, 2] as [UInt64])
    func clockSteps(seed: UInt64) {
        let network = Network(seed: seed)
        network.eve.remembers = false
        let pair = network.makePair(.mutualEndpoints)
        var random = SeededGenerator(seed: seed)
        let year = 31_536_000.0
        // Start at a hundred years, so that no clock reaches zero.
        for host in [pair.alice, pair.bob] {
            host.clockOffset = Int64(100 * year) * 1_000_000_000
        }
        var slowest = 0
        for step in 0..<Self.steps / 2 {
            let host = Bool.random(using: &random) ? pair.alice : pair.bob
            let seconds = randomStep(&random)
            switch Int.random(in: 0..<3, using: &random) {
            case 0: host.clockOffset += seconds * 1_000_000_000
            case 1: host.wallOffset += seconds
            default:
                host.clockOffset += seconds * 1_000_000_000
                host.wallOffset += seconds
            }
            if Bool.random(using: &random) { host.handleTimeout() }
            network.advance(by: .milliseconds(.random(in: 0...30_000, using: &random)))
            let took = secondsUntilAlive(pair)
            slowest = max(slowest, took)
            if took > 20 {
                Issue.record("stuck after step \(step) of \(seconds) s")
                return
            }
            for host in [pair.alice, pair.bob] { host.events = [] }
        }
        #expect(pair.isAlive())
        #expect(slowest <= 20)
        for host in [pair.alice, pair.bob] {
            #expect(host.indexCount <= 4)
            #expect(host.tunnel.device.tables.keypairs.capacity == 64)
        }
    }

    /// 10 s to a year, forward or back, uniform in the logarithm.
    private func randomStep(_ random: inout SeededGenerator) -> Int64 {
        var step = Double.random(in: 10...31.536, using: &random)
        for _ in 0..<Int.random(in: 0...6, using: &random) { step *= 10 }
        return Bool.random(using: &random) ? Int64(step) : -Int64(step)
    }

    /// Seconds until both hosts received a packet, when each sends one every second.
    private func secondsUntilAlive(_ pair: Pair) -> Int {
        pair.alice.received = []
        pair.bob.received = []
        for second in 0...21 {
            pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
            pair.bob.send(InnerPacket.udp4(from: 2, to: 1))
            pair.network.advance(by: .seconds(1))
            if !pair.alice.received.isEmpty, !pair.bob.received.isEmpty { return second }
        }
        return 22
    }
}
