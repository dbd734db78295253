import Testing
import WireGuardTestSupport

@testable import WireGuard

@Suite("Soak: three days of mixed traffic over a bad link")
struct MixedSoakTests {
    static let hours = UInt64(scaled(release: 72, debug: 4))

    /// The traffic of about an hour.
    enum Traffic: CaseIterable {
        case fromAlice
        case fromBob
        case both
        case bursts
        case lonePackets
        case none
    }

    @Test(
        "72 hours (debug: 4) of mixed traffic at 2 % loss, 5 % reordering: only the link loses packets",
        arguments: 0..<scaled(release: 12, debug: 2))
    func mixedTraffic(seed: Int) {
        let network = Network(seed: UInt64(seed))
        let pair = network.makePair(.mutualEndpoints)
        let audit = LinkAudit(
            pair, seed: UInt64(seed), lossPermille: 20, reorderingPermille: 50)
        let footprint = Footprint.Series(pair)
        var random = SeededGenerator(seed: UInt64(seed) + 100)
        let end = network.time + .seconds(Self.hours * 3_600)
        var turn = 0
        while network.time < end {
            setKeepalives(of: pair, turn % 4, &random)
            let traffic = Traffic.allCases[turn % Traffic.allCases.count]
            let phase = Interval.seconds(.random(in: 600...3_000, using: &random))
            run(traffic, until: network.time + phase, audit, network, &random)
            audit.drain()
            footprint.look()
            // 4 and 6: all pairs of traffic and keepalives in 12 rounds; one more shifts them.
            turn += turn % 12 == 11 ? 2 : 1
        }
        // Packets that are staged at the end get a session.
        setKeepalives(of: pair, 0, &random)
        for _ in 0..<20 {
            for host in 0...1 { audit.send(from: host) }
            network.advance(by: .seconds(6))
        }
        network.advance(by: .seconds(1))
        #expect(audit.waiting == 0)

        audit.expectNothingLost()
        #expect(audit.expiredUnderWay <= 1, "sent at 179.9 s, there after 180 s")
        let longer = audit.expectExplainedGaps()
        #expect(longer > 0 && audit.sessions.count > Int(Self.hours) * 10)
        #expect(audit.packetCount > Int(Self.hours) * 1_000)
        #expect((10...30).contains(audit.lostPackets * 1_000 / audit.packetCount))
        #expect(audit.reordered * 1_000 / audit.packetCount >= 40)
        for host in [pair.alice, pair.bob] {
            #expect(host.tunnel.drops(.stagedOverflow) == 0)
            #expect(host.tunnel.drops(.forgedMessage) == 0)
            #expect(host.tunnel.drops(.replayedMessage) == 0)
            #expect(host.tunnel.drops(.malformedMessage) == 0)
        }
        let givenUp = pair.count { if case .handshakeGivenUp = $0 { true } else { false } }
        #expect(givenUp == 0)
        footprint.expectFlat()
    }

    /// Neither host, one, the other, or both.
    private func setKeepalives(of pair: Pair, _ turn: Int, _ random: inout SeededGenerator) {
        let intervals: [UInt16] = [5, 10, 25, 60]
        let seconds = intervals.randomElement(using: &random) ?? 25
        pair.alice.addPeer(
            pair.bob.publicKey, allowedIPs: [], persistentKeepalive: turn & 1 == 0 ? 0 : seconds)
        pair.bob.addPeer(
            pair.alice.publicKey, allowedIPs: [], persistentKeepalive: turn & 2 == 0 ? 0 : seconds)
    }

    private func run(
        _ traffic: Traffic, until end: ObservedInstant, _ audit: LinkAudit, _ network: Network,
        _ random: inout SeededGenerator
    ) {
        while network.time < end {
            switch traffic {
            case .fromAlice, .fromBob:
                audit.send(from: traffic == .fromAlice ? 0 : 1)
                network.advance(by: .milliseconds(.random(in: 500...1_500, using: &random)))
            case .both:
                for host in 0...1 { audit.send(from: host) }
                network.advance(by: .milliseconds(.random(in: 300...700, using: &random)))
            case .bursts:
                let host = Int.random(in: 0...1, using: &random)
                for number in 0..<Int.random(in: 1...60, using: &random) {
                    audit.send(from: host)
                    if number % 2 == 1 { audit.send(from: 1 - host) }
                    network.advance(by: .milliseconds(20))
                }
                network.advance(by: .milliseconds(.random(in: 1_000...100_000, using: &random)))
            case .lonePackets:
                audit.send(from: .random(in: 0...1, using: &random))
                network.advance(by: .milliseconds(.random(in: 1_000...700_000, using: &random)))
            case .none:
                network.advance(by: .seconds(600))
            }
            audit.drain()
        }
    }
}
