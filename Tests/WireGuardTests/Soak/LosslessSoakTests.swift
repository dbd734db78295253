import Packets
import Testing
import WireGuardTestSupport

@testable import WireGuard

@Suite("Soak: three days without loss or growth")
struct LosslessSoakTests {
    static let hours = UInt64(scaled(release: 72, debug: 1))

    @Test(
        "72 hours (debug: 1) of a packet every 100 ms each way: all arrive, with a rekey every 120 s"
    )
    func steadyTraffic() {
        let network = Network(seed: 72)
        let pair = network.makePair(.mutualEndpoints)
        network.eve.remembers = false
        let numbers = NumberedStream()
        let footprint = Footprint.Series(pair)
        var next: [UInt32] = [0, 0]
        let packets = Self.hours * 3_600 * 10
        for number in 0..<UInt32(packets) {
            pair.alice.send(numbers.packet(number, from: 1, to: 2))
            pair.bob.send(numbers.packet(number, from: 2, to: 1))
            network.advance(by: .milliseconds(100))
            if number % 1_000 == 999 || number + 1 == packets {
                // Each packet arrives before the next is sent, so always in order.
                next[0] = numbers.expectAll(of: pair.alice, from: next[0])
                next[1] = numbers.expectAll(of: pair.bob, from: next[1])
            }
            if number % 36_000 == 35_999 { footprint.look() }
        }
        #expect(next == [UInt32(packets), UInt32(packets)])

        let sessions = pair.sessionCount
        let rekeys = sessions - 1
        let expected = Int(Self.hours) * 30 - 1
        #expect((expected - 2...expected + 2).contains(rekeys), "\(rekeys) rekeys")
        let initiations = pair.count { if case .initiationSent = $0 { true } else { false } }
        // Both hosts start a handshake with their first packet, and the two cross once.
        #expect(initiations <= sessions + 2)
        footprint.expectFlat()
    }
}

@Suite("Soak: both hosts active, one session at a time")
struct SymmetricSoakTests {
    @Test("10 hours (debug: 1) of traffic and keepalives both ways: 300 sessions, one at a time")
    func symmetricKeepalives() {
        let hours = scaled(release: 10, debug: 1)
        let network = Network(seed: 10)
        let pair = network.makePair(.mutualEndpoints)
        network.eve.remembers = false
        for (host, other) in [(pair.alice, pair.bob), (pair.bob, pair.alice)] {
            host.addPeer(other.publicKey, allowedIPs: [], persistentKeepalive: 25)
        }
        network.settle()
        let before = pair.sessionCount
        let stream = NumberedStream()
        var next: [UInt32] = [0, 0]
        var atOdds = 0
        for number in 0..<UInt32(hours * 36_000) {
            pair.alice.send(stream.packet(number, from: 1, to: 2))
            pair.bob.send(stream.packet(number, from: 2, to: 1))
            network.advance(by: .milliseconds(100))
            next[0] = stream.expectAll(of: pair.alice, from: next[0])
            next[1] = stream.expectAll(of: pair.bob, from: next[1])
            // Pending initiations of both hosts at the same time.
            let isAtOdds = [pair.alice, pair.bob].allSatisfy {
                !$0.tunnel.device.handshakes.isEmpty
            }
            atOdds = isAtOdds ? atOdds + 1 : 0
            if atOdds > 10 { Issue.record("two initiations are alive for more than 1 s") }
        }
        #expect(next == [UInt32(hours * 36_000), UInt32(hours * 36_000)])
        let sessions = pair.sessionCount - before
        #expect((hours * 30 - 1...hours * 30 + 1).contains(sessions), "\(sessions) sessions")
    }
}

/// Packets with a 32-bit number, in one reused buffer.
final class NumberedStream {
    private var template = InnerPacket.udp4(from: 1, to: 2, byteCount: 64)
    private static let numberOffset = 28

    func packet(_ number: UInt32, from source: UInt8, to destination: UInt8) -> [UInt8] {
        template[15] = source
        template[19] = destination
        for byte in 0..<4 {
            template[Self.numberOffset + byte] = UInt8(truncatingIfNeeded: number >> (8 * byte))
        }
        return template
    }

    static func number(of packet: [UInt8]) -> UInt32 {
        (0..<4).reduce(0) { $0 | UInt32(packet[numberOffset + $1]) << (8 * $1) }
    }

    /// Takes the packets that a host received, and expects each number from `first` on once, in order.
    ///
    /// - Returns: the next expected number.
    func expectAll(
        of host: Host, from first: UInt32, sourceLocation: SourceLocation = #_sourceLocation
    ) -> UInt32 {
        var next = first
        for packet in host.received {
            let number = Self.number(of: packet)
            if number != next {
                Issue.record(
                    "\(host.name) got \(number) in the place of \(next)",
                    sourceLocation: sourceLocation)
            }
            next = number + 1
        }
        host.received.removeAll(keepingCapacity: true)
        return next
    }
}

/// The state of a pair of tunnels: entries in use, and capacities.
struct Footprint: Equatable {
    var inUse: [Int]
    var capacity: [Int]

    init(_ host: Host) {
        let device = host.tunnel.device
        inUse = [
            device.tables.indices.count, device.tables.keypairs.count, device.handshakes.count,
            device.tables.peers.count, device.shared.stagedBytes,
        ]
        capacity = [device.tables.indices.capacity, device.tables.keypairs.capacity]
    }

    /// Samples both hosts repeatedly.
    final class Series {
        private let pair: Pair
        private var first: [Footprint] = []
        private var most = [0, 0]

        init(_ pair: Pair) {
            self.pair = pair
        }

        func look() {
            let now = [Footprint(pair.alice), Footprint(pair.bob)]
            if first.isEmpty { first = now }
            for (index, footprint) in now.enumerated() {
                // At most three keypairs and a handshake (§6.1), and no unneeded capacity.
                let keypairs = footprint.inUse[1]
                let indices = footprint.inUse[0] + footprint.inUse[2]
                if footprint.inUse[0] != keypairs || indices > 4 || footprint.inUse[3] != 1 {
                    Issue.record("\(footprint)")
                }
                most[index] = max(most[index], indices)
            }
        }

        func expectFlat(sourceLocation: SourceLocation = #_sourceLocation) {
            look()
            let now = [Footprint(pair.alice), Footprint(pair.bob)]
            #expect(
                now.map(\.capacity) == first.map(\.capacity), "memory grew",
                sourceLocation: sourceLocation)
            #expect(most.max() ?? 0 > 0, sourceLocation: sourceLocation)
        }
    }
}

extension Pair {
    /// Completed handshakes of both hosts.
    var sessionCount: Int { count { if case .responseConsumed = $0 { true } else { false } } }

    /// Events of both hosts that match.
    func count(where isSuch: (TraceEvent) -> Bool) -> Int {
        alice.events.count(where: isSuch) + bob.events.count(where: isSuch)
    }
}
