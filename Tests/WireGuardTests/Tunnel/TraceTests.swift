import Packets
import Testing
import WireGuardTestSupport

@testable import WireGuard

@Suite("Trace events")
struct TraceTests {
    let network = Network()

    @Test("the first packet is traced as initiation, response and new keypair")
    func handshake() throws {
        let pair = network.makePair()
        pair.connect()
        let (alice, bob) = (pair.alice.publicKey, pair.bob.publicKey)
        let initiation = try #require(network.eve.seen(1).first).index(at: 4)
        let response = try #require(network.eve.seen(2).first).index(at: 4)
        #expect(
            pair.alice.events == [
                .initiationSent(bob, initiation, .packetsWait),
                .responseConsumed(bob, initiation, pair.bob.address),
                .keypairRotated(bob, initiation),
            ])
        #expect(
            pair.bob.events == [
                .initiationConsumed(alice, response, pair.alice.address),
                .keypairRotated(alice, response),
            ])
    }

    @Test("datagrams that cannot be sent are counted and traced immediately")
    func refusedSends() {
        let device = network.makePair().alice.tunnel.device
        let now = ObservedInstant(nanoseconds: 1_000_000_000_000)
        device.countRefusedSends(0, at: now)
        #expect(device.takeEvents() == [] && device.drops(.refusedSend) == 0)
        device.countRefusedSends(3, at: now)
        #expect(device.takeEvents() == [.dropped(Drop(.refusedSend, packets: 3))])
        #expect(device.drops(.refusedSend) == 3)
        #expect(
            device.nextDeadline == now + .seconds(1),
            "then the drops that were not recorded are reported")
    }

    @Test("each initiation has a cause")
    func causes() {
        let pair = network.makePair()
        pair.alice.addPeer(pair.bob.publicKey, allowedIPs: [], persistentKeepalive: 25)
        network.settle()
        pair.alice.addPeer(pair.bob.publicKey, allowedIPs: [], persistentKeepalive: 0)
        #expect(pair.alice.causes(to: pair.bob) == [.keepaliveDue])
        network.advance(by: .seconds(121))
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        network.settle()
        #expect(pair.alice.causes(to: pair.bob).last == .keyIsOld)
        network.advance(by: .seconds(166))
        pair.bob.send(InnerPacket.udp4(from: 2, to: 1))
        network.settle()
        #expect(pair.alice.causes(to: pair.bob).last == .keyExpiresSoon)
        network.advance(by: .seconds(11))
        network.eve.meddle = { _ in .drop }
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        network.advance(by: .milliseconds(15_400))
        #expect(pair.alice.causes(to: pair.bob).last == .noAnswer)
        network.advance(by: .milliseconds(5_334))
        #expect(pair.alice.causes(to: pair.bob).last == .retry(1))
        #expect(pair.alice.causes(to: pair.bob).count == 5)
        network.advance(by: .seconds(600))
        #expect(pair.alice.causes(to: pair.bob).last == .retry(19))
        network.eve.meddle = { _ in .pass }
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        #expect(pair.alice.causes(to: pair.bob).last == .packetsWait)
    }

    @Test("a dropped packet is traced with its destination, and its peer if it has one")
    func outboundDrops() {
        let pair = network.makePair()
        pair.alice.send(InnerPacket.udp4(from: 1, to: 9))
        pair.bob.send(InnerPacket.udp4(from: 2, to: 1))
        pair.alice.send([1, 2, 3])
        let nine = IPAddress.v4(IPv4Address(bits: 0x0A00_0009))
        let one = IPAddress.v4(IPv4Address(bits: 0x0A00_0001))
        #expect(
            pair.alice.events == [
                .dropped(Drop(.noPeer, inner: nine)), .dropped(Drop(.malformedPacket)),
            ])
        #expect(
            pair.bob.events == [
                .dropped(Drop(.noEndpoint, peer: pair.alice.publicKey, inner: one))
            ])
        network.eve.meddle = { _ in .drop }
        for _ in 0..<130 { pair.alice.send(InnerPacket.udp4(from: 1, to: 2)) }
        #expect(
            pair.alice.drops(.stagedOverflow)
                == [Drop](repeating: Drop(.stagedOverflow, peer: pair.bob.publicKey), count: 2))
        network.advance(by: .seconds(110))
        #expect(
            pair.alice.drops(.unanswered)
                == [Drop(.unanswered, peer: pair.bob.publicKey, packets: 128)])
        pair.alice.takeDown()
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        #expect(pair.alice.events.last == .dropped(Drop(.interfaceDown)))
    }

    @Test("a dropped datagram is traced with peer, index, remote and reason")
    func inboundDrops() throws {
        let pair = network.makePair()
        pair.connect()
        let bob = pair.bob
        let data = try #require(network.eve.seen(4).last)
        let index = data.index(at: 4)
        let eve = Pair.address(203, 0, 113, 9, port: 9)
        let (alice, from) = (pair.alice.publicKey, pair.alice.address)

        func expect(
            _ drop: Drop, of bytes: [UInt8], from remote: SocketAddress,
            location: SourceLocation = #_sourceLocation
        ) {
            bob.events = []
            network.inject(bytes, from: remote, to: bob.address)
            network.settle()
            bob.handleTimeout()
            #expect(bob.events == [.dropped(drop)], sourceLocation: location)
            #expect(
                bob.tunnel.drops(drop.reason) >= 1, "the drop is counted", sourceLocation: location)
        }
        expect(
            Drop(.replayedMessage, peer: alice, index: index, remote: from), of: data.bytes,
            from: from)
        var forged = data.bytes
        forged[20] ^= 1
        expect(Drop(.forgedMessage, peer: alice, index: index, remote: eve), of: forged, from: eve)
        forged[4] ^= 1
        expect(
            Drop(.unknownIndex, index: ReceiverIndex(rawValue: index.rawValue ^ 1), remote: eve),
            of: forged, from: eve)
        var last = data.bytes
        last.replaceSubrange(8..<16, with: [UInt8](repeating: 0xFF, count: 8))
        expect(Drop(.expiredKeypair, peer: alice, index: index, remote: eve), of: last, from: eve)
        expect(Drop(.malformedMessage, remote: eve), of: [4, 0, 0, 0], from: eve)

        let initiation = try #require(network.eve.seen(1).last).bytes
        let own = try #require(network.eve.seen(1).last).index(at: 4)
        expect(
            Drop(
                .invalidHandshake, handshakeError: .replayedTimestamp, peer: alice, index: own,
                remote: eve),
            of: initiation, from: eve)
        var wrong = initiation
        wrong[50] ^= 1
        expect(Drop(.invalidMAC1, index: own, remote: eve), of: wrong, from: eve)
        expect(
            Drop(.invalidHandshake, handshakeError: .notAuthentic, index: own, remote: eve),
            of: signed(wrong, for: bob.publicKey), from: eve)
    }

    @Test("a flood of drops is traced as ten events per second and the number of the others")
    func flood() {
        let pair = network.makePair()
        pair.connect()
        pair.bob.events = []
        let eve = Pair.address(203, 0, 113, 9, port: 9)
        let datagram = [4, 0, 0, 0] + [UInt8](repeating: 0, count: 60)
        for second in 1...3 as ClosedRange<UInt64> {
            for _ in 0..<10_000 {
                pair.bob.tunnel.handleDatagram(datagram, from: eve, now: pair.bob.now)
            }
            pair.bob.tunnel.handleDatagram([9], from: eve, now: pair.bob.now)
            pair.bob.handleTimeout()
            network.advance(by: .seconds(1))
            #expect(pair.bob.drops(.unknownIndex).count == 10 * Int(second))
            #expect(
                pair.bob.drops(.malformedMessage).count == Int(second),
                "another reason is traced separately")
            #expect(pair.bob.count(.leftOut(9_990, .unknownIndex, nil)) == Int(second))
        }
        #expect(pair.bob.events.count == 3 * 12)
        #expect(pair.bob.tunnel.drops(.unknownIndex) == 30_000)
        // After the flood, the trace needs no timeout.
        let next = pair.bob.nextTimeout
        #expect(next.map { $0 > network.time + .seconds(1) } != false)
    }

    @Test("a flood of invalid initiations is traced as ten events per error")
    func floodOfErrors() throws {
        let pair = network.makePair()
        pair.connect()
        let initiation = try #require(network.eve.seen(1).last).bytes
        pair.bob.events = []
        for number in 0..<40 {
            var message = initiation
            if number % 2 == 0 { message[50] ^= 1 }
            message = signed(message, for: pair.bob.publicKey)
            pair.bob.tunnel.handleDatagram(message, from: pair.alice.address, now: pair.bob.now)
        }
        network.advance(by: .seconds(2))
        #expect(pair.bob.drops(.invalidHandshake, .notAuthentic).count == 10)
        #expect(pair.bob.drops(.invalidHandshake, .replayedTimestamp).count == 10)
        #expect(pair.bob.count(.leftOut(10, .invalidHandshake, .notAuthentic)) == 1)
        #expect(pair.bob.count(.leftOut(10, .invalidHandshake, .replayedTimestamp)) == 1)
    }

    @Test("without tracing, no event is kept and drops are counted")
    func off() {
        let pair = network.makePair()
        pair.connect()
        pair.bob.events = []
        pair.bob.tunnel.isTracing = false
        let eve = Pair.address(203, 0, 113, 9, port: 9)
        for _ in 0..<50 { network.inject([9], from: eve, to: pair.bob.address) }
        network.advance(by: .seconds(130))
        #expect(pair.isAlive())
        #expect(pair.bob.events == [])
        #expect(pair.bob.tunnel.drops(.malformedMessage) == 50)
        pair.bob.tunnel.isTracing = true
        #expect(pair.isAlive())
        #expect(pair.bob.events == [], "events from before tracing are not reported")
    }
}

extension Capture {
    /// The receiver index at an offset.
    fileprivate func index(at offset: Int) -> ReceiverIndex {
        ReceiverIndex(
            rawValue: withBytes(bytes) { $0.loadLittleEndian(at: offset, as: UInt32.self) })
    }
}
