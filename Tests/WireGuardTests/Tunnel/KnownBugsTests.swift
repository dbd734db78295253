import Packets
import Synchronization
import Testing
import WireGuardTestSupport

@testable import WireGuard

@Suite("Bugs of other implementations, with the numbers that showed them")
struct KnownBugsTests {
    let network = Network()

    // MARK: Floods

    @Test("10 000 forged responses (debug: 200) with the right index do not stop the authentic one")
    func forgedResponseRace() {
        let pair = network.makePair()
        var random = SeededGenerator(seed: 1)
        network.eve.meddle = { $0.type == 2 ? .delay(.milliseconds(500)) : .pass }
        for round in 1...3 {
            pair.alice.takeDown()
            pair.alice.bringUp()
            pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
            network.advance(by: .milliseconds(30))
            let responses = network.eve.seen(2)
            guard responses.count == round, var forged = responses.last?.bytes else {
                Issue.record("no response")
                return
            }
            let before = pair.alice.tunnel.drops(.invalidHandshake)
            let count = scaled(release: 10_000, debug: 200)
            for _ in 0..<count {
                // Ephemeral key and tag.
                for index in 12..<60 { forged[index] = .random(in: 0...255, using: &random) }
                pair.alice.tunnel.handleDatagram(
                    signed(forged, for: pair.alice.publicKey), from: pair.bob.address,
                    now: pair.alice.now)
            }
            #expect(pair.alice.tunnel.drops(.invalidHandshake) - before == UInt64(count))
            network.advance(by: .seconds(1))
            #expect(pair.bob.received.count == round)
        }
        #expect(network.eve.seen(1).count == 3)
    }

    @Test("a million forged messages (debug: 5000) change no counter, timer or endpoint")
    func forgedDataFlood() {
        let pair = network.makePair()
        pair.connect()
        network.advance(by: .seconds(1))
        guard let real = network.eve.seen(4).first?.bytes else {
            Issue.record("no data")
            return
        }
        let device = pair.bob.tunnel.device
        func state() -> [UInt64?] {
            [
                device.tables.peers[0].timers.sendKeepalive.load(ordering: .relaxed),
                device.tables.peers[0].timers.newHandshake.load(ordering: .relaxed),
                device.tables.peers[0].timers.zeroKeyMaterial.load(ordering: .relaxed),
                pair.bob.snapshot(of: pair.alice)?.rxBytes,
                pair.bob.snapshot(of: pair.alice)?.txBytes,
            ]
        }
        let before = state()
        let count = scaled(release: 1_000_000, debug: 5_000)
        var forged = real
        for number in 0..<count {
            for byte in 0..<8 { forged[8 + byte] = UInt8(truncatingIfNeeded: number >> (8 * byte)) }
            // Also the counter of the authentic message with another tag.
            forged[forged.count - 1] = ~real[real.count - 1]
            pair.bob.tunnel.handleDatagram(
                forged, from: Pair.address(203, 0, 113, 66, port: 6), now: pair.bob.now)
        }
        #expect(pair.bob.tunnel.drops(.forgedMessage) == UInt64(count))
        #expect(state() == before)
        #expect(pair.bob.snapshot(of: pair.alice)?.endpoint == pair.alice.address)
        #expect(pair.bob.tunnel.nextDatagram() == nil)
        #expect(pair.isAlive())
    }

    @Test("under a flood, a peer needs at most one more initiation, and the load ends within 2 s")
    func handshakeUnderFlood() {
        let pair = network.makePair()
        let mallory = Pair.address(203, 0, 113, 66, port: 666)
        var junk = [UInt8](repeating: 0, count: HandshakeInitiation.byteCount)
        junk[0] = 1
        /// Sends ten times the rate limit of a source, with enough in the queue to be under load.
        func flood(forTicks ticks: Int) {
            for tick in 0..<ticks {
                pair.bob.overload()
                junk[8] = UInt8(truncatingIfNeeded: tick)
                network.inject(
                    signed(junk, for: pair.bob.publicKey), from: mallory, to: pair.bob.address)
                network.advance(by: .milliseconds(5))
                pair.bob.handleTimeout()
            }
        }
        flood(forTicks: 100)
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        flood(forTicks: 1_200)
        #expect(pair.bob.received.count == 1)
        #expect(network.eve.seen(1).count { $0.from == pair.alice.address } <= 2)
        #expect(network.eve.seen(3).contains { $0.to == pair.alice.address }, "a cookie was sent")
        #expect(network.eve.seen(3).contains { $0.to == mallory })

        network.advance(by: .seconds(2))
        network.eve.forget()
        pair.alice.takeDown()
        pair.alice.bringUp()
        #expect(pair.isAlive())
        #expect(network.eve.seen(3).isEmpty)
    }

    // MARK: Timers

    @Test("packets sent every 10 ms from 115 s to 185 s, with 200 ms of delay, all arrive")
    func sendingAroundTheEndOfKeys() {
        network.latency = .milliseconds(200)
        let pair = network.makePair()
        pair.connect()
        network.advance(by: .seconds(115))
        pair.stream(0..<7_000, every: .milliseconds(10))
        network.advance(by: .seconds(1))
        #expect(pair.bob.receivedNumbers == Array(0..<7_000))
        #expect(network.eve.seen(1).count == 2)
    }

    @Test("a request every 3 s is always answered, across more than three sessions")
    func fetches() {
        let pair = network.makePair()
        for round in 1...130 {
            pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
            network.settle()
            pair.bob.send(InnerPacket.udp4(from: 2, to: 1))
            network.settle()
            #expect(pair.alice.received.count == round && pair.bob.received.count == round)
            network.advance(by: .seconds(3))
        }
        #expect((4...5).contains(network.eve.seen(2).count))
        #expect(network.eve.seen(1).count == network.eve.seen(2).count)
    }

    @Test("bursts for an hour cause one handshake every 120 s", arguments: [2, 7, 9])
    func bursts(gap: UInt64) {
        let pair = network.makePair(.mutualEndpoints)
        network.eve.remembers = false
        let end = network.time + .seconds(3_600)
        while network.time < end {
            for _ in 0..<50 { pair.alice.send(InnerPacket.udp4(from: 1, to: 2)) }
            network.advance(by: .seconds(gap))
        }
        let fresh = pair.alice.initiations(to: pair.bob)
        #expect((28...30).contains(fresh), "\(fresh)")
        let others = pair.count {
            switch $0 {
            case .initiationSent(let key, _, let cause):
                cause.isRetry || key == pair.alice.publicKey
            case .noAnswer: true
            default: false
            }
        }
        #expect(others == 0)
    }

    @Test(
        "on a dead link, initiations end after the last attempt, and continue with a persistent keepalive",
        arguments: [0, 25] as [UInt16], [107, 700, 3_600] as [UInt64])
    func deadLink(keepalive: UInt16, seconds: UInt64) {
        let pair = network.makePair()
        pair.connect()
        pair.alice.addPeer(pair.bob.publicKey, allowedIPs: [], persistentKeepalive: keepalive)
        network.settle()
        network.eve.meddle = { _ in .drop }
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        // 15 s without an answer, then 20 initiations.
        network.advance(by: .seconds(16 + seconds))
        let seen = network.seen { network.advance(by: .seconds(60)) }
        if keepalive == 0 {
            #expect(seen == [])
            #expect(pair.count { if case .handshakeGivenUp = $0 { true } else { false } } == 1)
        } else {
            #expect(seen.count { $0.type == 1 && $0.from == pair.alice.address } >= 6)
        }
        network.eve.meddle = { _ in .pass }
        if keepalive == 0 { pair.alice.send(InnerPacket.udp4(from: 1, to: 2)) }
        let responses = pair.alice.responses(of: pair.bob)
        let time = network.advance(atMost: .seconds(31)) {
            pair.alice.responses(of: pair.bob) > responses
        }
        #expect(time != nil)
        network.settle()
        #expect(pair.isAlive())
    }

    // MARK: Devices

    @Test(
        "each packet is one datagram; a handshake adds two, and the answer one or two keepalives",
        arguments: [(1, 1), (100, 2)])
    func exactDatagrams(packets: Int, keepalives: Int) {
        let pair = network.makePair()
        var random = SeededGenerator(seed: 7)
        for _ in 0..<packets {
            pair.alice.send(
                InnerPacket.udp4(
                    from: 1, to: 2, byteCount: .random(in: 28...1_420, using: &random)))
            network.advance(by: .milliseconds(10))
        }
        network.advance(by: .seconds(100))
        #expect(pair.bob.received.count == packets)
        #expect(network.eve.seen.count == packets + 2 + keepalives)
        #expect(network.eve.seen(1).count == 1 && network.eve.seen(2).count == 1)
        #expect(network.eve.seen.count { $0.isKeepalive } == keepalives)
        for data in network.eve.seen(4) {
            let length = data.bytes.count - TransportData.overhead
            #expect(length % 16 == 0 || length == 1_420)
        }
    }

    @Test("counters continue beyond 32 bits in both directions")
    func longCounters() {
        let pair = network.makePair()
        pair.connect()
        #expect(pair.isAlive())
        for (host, other) in [(pair.alice, pair.bob), (pair.bob, pair.alice)] {
            host.withCurrentKeypair(to: other) { $0.skipCounters(to: (1 << 32) - 10) }
        }
        for _ in 0..<20 { #expect(pair.isAlive()) }
        let highest = network.eve.seen(4).map { $0.littleEndian(at: 12) }.max()
        #expect(highest == 1)
        #expect(network.eve.seen(1).count == 1)
    }

    @Test("the tunnel works after both sides went down and up 500 times with keepalives of 1 s")
    func downAndUp() {
        let pair = network.makePair(.mutualEndpoints)
        for (host, other) in [(pair.alice, pair.bob), (pair.bob, pair.alice)] {
            host.addPeer(other.publicKey, allowedIPs: [], persistentKeepalive: 1)
        }
        var random = SeededGenerator(seed: 9)
        for _ in 0..<500 {
            let host = Bool.random(using: &random) ? pair.alice : pair.bob
            if host.tunnel.isUp { host.takeDown() } else { host.bringUp() }
            network.advance(by: .milliseconds(.random(in: 0...100, using: &random)))
            #expect(pair.alice.indexCount <= 4 && pair.bob.indexCount <= 4)
        }
        for host in [pair.alice, pair.bob] where !host.tunnel.isUp { host.bringUp() }
        network.advance(by: .seconds(6))
        #expect(pair.isAlive())
        for host in [pair.alice, pair.bob] {
            #expect(host.tunnel.device.tables.keypairs.capacity == 64)
        }
    }

    @Test("settings made while the interface is down apply when it is up")
    func configuredWhileDown() {
        let pair = network.makePair()
        pair.connect()
        pair.alice.takeDown()
        let elsewhere = Pair.address(198, 51, 100, 77, port: 7)
        pair.bob.move(to: elsewhere)
        let presharedKey = [UInt8](repeating: 7, count: 32)
        let seen = network.seen {
            pair.alice.addPeer(
                pair.bob.publicKey, allowedIPs: ["10.0.0.9/32"], endpoint: elsewhere,
                presharedKey: presharedKey, persistentKeepalive: 9)
            network.advance(by: .seconds(100))
        }
        #expect(seen.allSatisfy { $0.from != pair.alice.address })
        pair.bob.addPeer(pair.alice.publicKey, allowedIPs: [], presharedKey: presharedKey)
        pair.alice.bringUp()
        network.settle()
        #expect(pair.isAlive())
        #expect(pair.alice.snapshot(of: pair.bob)?.endpoint == elsewhere)
        pair.alice.send(InnerPacket.udp4(from: 1, to: 9))
        network.settle()
        #expect(pair.bob.received.count == 2)
    }
}
