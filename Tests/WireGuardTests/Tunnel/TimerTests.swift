import Testing
import WireGuardTestSupport

@testable import WireGuard

@Suite("Timers")
struct TimerTests {
    let network = Network()

    @Test("received data without an answer for 10 s causes exactly one keepalive")
    func passiveKeepalive() {
        let pair = network.makePair()
        pair.connect()
        let sent = network.time
        network.advance(by: .seconds(3_600))
        #expect(network.eve.seen.map(\.type) == [1, 2, 4, 4])
        let keepalive = network.eve.seen[3]
        #expect(keepalive.isKeepalive && keepalive.from == pair.bob.address)
        #expect(keepalive.time.since(sent) == .seconds(10))
        #expect(pair.alice.nextTimeout == nil && pair.bob.nextTimeout == nil, "idle for good")
    }

    @Test("data received while a keepalive is due causes one more")
    func anotherKeepalive() {
        let pair = network.makePair()
        pair.connect()
        network.advance(by: .seconds(5))
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        network.advance(by: .seconds(100))
        let keepalives = network.eve.seen.filter(\.isKeepalive)
        #expect(keepalives.map(\.from) == [pair.bob.address, pair.bob.address])
        let gap = keepalives.last?.time.since(keepalives[0].time)
        #expect(gap == .seconds(10))
    }

    @Test("sending anything cancels a due keepalive")
    func answeredByData() {
        let pair = network.makePair()
        pair.connect()
        network.advance(by: .seconds(9))
        pair.bob.send(InnerPacket.udp4(from: 2, to: 1))
        network.advance(by: .seconds(9))
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        network.advance(by: .milliseconds(9_900))
        #expect(network.eve.seen.allSatisfy { !$0.isKeepalive })
    }

    @Test("a persistent keepalive is sent after its interval without packets")
    func persistentKeepalive() {
        let pair = network.makePair()
        pair.connect()
        network.advance(by: .seconds(20))
        network.eve.forget()
        pair.alice.addPeer(pair.bob.publicKey, allowedIPs: [], persistentKeepalive: 25)
        network.advance(by: .seconds(99))
        #expect(network.eve.seen.count == 4, "at 0, 25, 50 and 75 s")
        #expect(network.eve.seen.allSatisfy { $0.isKeepalive && $0.from == pair.alice.address })
        pair.alice.addPeer(pair.bob.publicKey, allowedIPs: [], persistentKeepalive: 0)
        #expect(network.seen { network.advance(by: .seconds(3_600)) } == [])
        #expect(pair.alice.nextTimeout == nil)
    }

    @Test("a persistent keepalive counts from the last packet in either direction")
    func persistentKeepaliveAfterTraffic() {
        let pair = network.makePair()
        pair.connect()
        pair.alice.addPeer(pair.bob.publicKey, allowedIPs: [], persistentKeepalive: 8)
        network.settle()
        network.eve.forget()
        for _ in 0..<10 {
            network.advance(by: .seconds(7))
            pair.bob.send(InnerPacket.udp4(from: 2, to: 1))
        }
        network.settle()
        // Alice answers after 10 s; her own 8 s never pass without a packet.
        let keepalives = network.eve.seen.filter { $0.from == pair.alice.address }.map(\.time)
        #expect(keepalives.count > 2)
        for (earlier, later) in zip(keepalives, keepalives.dropFirst()) {
            #expect(later.since(earlier) >= .seconds(10))
        }
    }

    @Test("a persistent keepalive keeps the session, with a rekey every 120 s")
    func persistentKeepaliveRekeys() {
        let pair = network.makePair()
        pair.alice.addPeer(pair.bob.publicKey, allowedIPs: [], persistentKeepalive: 10)
        network.advance(by: .seconds(3_600))
        #expect((29...30).contains(network.eve.seen(1).count))
        #expect(network.eve.seen(2).count == network.eve.seen(1).count)
        #expect(network.eve.seen(1).allSatisfy { $0.from == pair.alice.address })
    }

    // MARK: Handshakes

    @Test("20 initiations in all, then silence", arguments: 0..<8)
    func retransmission(seed: UInt64) {
        let network = Network(seed: seed)
        let pair = network.makePair()
        network.eve.meddle = { _ in .drop }
        let start = network.time
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2, identification: 7))
        network.advance(by: .milliseconds(99_999))
        #expect(network.eve.seen.map(\.type) == [UInt8](repeating: 1, count: 20))
        let times = network.eve.seen.map { $0.time.since(start).inSeconds }
        #expect((95...101.4).contains(times[19]))
        for (earlier, later) in zip(times, times.dropFirst()) {
            #expect((5...5.334).contains(later - earlier))
        }
        #expect(pair.alice.count(.handshakeGivenUp(pair.bob.publicKey, attempts: 19)) == 0)
        let end = network.advance(atMost: .seconds(7)) {
            pair.alice.count(.handshakeGivenUp(pair.bob.publicKey, attempts: 19)) == 1
        }
        #expect(end.map { (100...106.7).contains($0.inSeconds + 99.999) } == true)
        #expect(network.seen { network.advance(by: .seconds(3_600)) } == [])
        #expect(pair.alice.nextTimeout == nil)

        // Staged packets are dropped; a new packet starts a new handshake.
        network.eve.meddle = { _ in .pass }
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2, identification: 8))
        network.settle()
        #expect(pair.bob.receivedNumbers == [8])
    }

    @Test("a request during retries resets their count, and sends nothing early")
    func demandDuringAttempts() {
        let pair = network.makePair()
        network.eve.meddle = { _ in .drop }
        pair.stream(0..<150, every: .seconds(1))
        network.advance(by: .seconds(110))
        let times = network.eve.seen.map(\.time)
        for (earlier, later) in zip(times, times.dropFirst()) {
            #expect(later.since(earlier) >= .seconds(5))
        }
        let end = times.last?.since(ObservedInstant(nanoseconds: 1_000_000_000_000))
        #expect(end.map { (230...256).contains($0.inSeconds) } == true)
    }

    @Test("a request within the 5 s limit resets the count of attempts, too")
    func demandWithinLimit() {
        let pair = network.makePair()
        network.eve.meddle = { _ in .drop }
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        let time = network.advance(atMost: .seconds(80)) { network.eve.seen.count == 15 }
        #expect(time != nil)
        network.advance(by: .seconds(2))
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        #expect(network.eve.seen.count == 15)
        network.advance(by: .seconds(200))
        #expect(network.eve.seen.count == 15 + 19)
    }

    @Test("a peer with a persistent keepalive is retried forever")
    func persistentKeepaliveTries() {
        let pair = network.makePair()
        network.eve.meddle = { _ in .drop }
        pair.alice.addPeer(pair.bob.publicKey, allowedIPs: [], persistentKeepalive: 25)
        network.advance(by: .seconds(600))
        let before = network.eve.seen.count
        #expect(before > 80)
        network.eve.meddle = { _ in .pass }
        #expect(network.advance(atMost: .seconds(31)) { pair.alice.indexCount == 1 } != nil)
        network.settle()
        #expect(pair.isAlive())
    }

    @Test("data without an answer for 15 s starts a handshake")
    func newHandshake() {
        let pair = network.makePair()
        pair.connect()
        network.eve.meddle = { _ in .drop }
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        network.eve.forget()
        let start = network.time
        network.advance(by: .milliseconds(15_334))
        let seen = network.eve.seen.filter { $0.from == pair.alice.address }
        #expect(seen.map(\.type) == [1])
        #expect(seen.first.map { $0.time.since(start) >= .seconds(15) } == true)
        #expect(pair.alice.count(.noAnswer(pair.bob.publicKey)) == 1)
    }

    @Test("the initiator starts a new session when it sends under a key of 120 s, not before")
    func rekeyOnSend() {
        let pair = network.makePair()
        pair.connect()
        network.advance(by: .milliseconds(119_900))
        #expect(
            network.seen { pair.alice.send(InnerPacket.udp4(from: 1, to: 2)) }.map(\.type) == [4])
        network.advance(by: .milliseconds(200))
        let seen = network.seen { pair.alice.send(InnerPacket.udp4(from: 1, to: 2)) }
        #expect(seen.map(\.type) == [4, 1])
        network.settle()
        #expect(network.eve.seen(2).count == 2)
        #expect(
            network.seen { pair.alice.send(InnerPacket.udp4(from: 1, to: 2)) }.map(\.type) == [4])
    }

    @Test("the responder does not rekey because of the key's age")
    func responderDoesNotRekey() {
        let pair = network.makePair()
        pair.connect()
        network.advance(by: .seconds(12))
        // Alice's keepalives would cause a rekey.
        network.eve.meddle = { [bob = pair.bob.address] in $0.from == bob ? .drop : .pass }
        for _ in 0..<13 {
            network.advance(by: .seconds(12))
            pair.bob.send(InnerPacket.udp4(from: 2, to: 1))
            pair.bob.tunnel.device.tables.peers[0].timers.anyAuthenticatedPacketReceived()
        }
        #expect(network.eve.seen(1).count == 1)
    }

    @Test("the initiator rekeys when it receives under a key of 165 s, once for each key")
    func rekeyOnReceive() {
        let pair = network.makePair()
        pair.connect()
        network.advance(by: .seconds(164))
        pair.bob.send(InnerPacket.udp4(from: 2, to: 1))
        network.advance(by: .milliseconds(900))
        #expect(network.eve.seen(1).count == 1)
        network.advance(by: .seconds(1))
        network.eve.meddle = { $0.type <= 2 ? .drop : .pass }
        pair.bob.send(InnerPacket.udp4(from: 2, to: 1))
        network.settle()
        #expect(network.eve.seen(1).count == 2)
        let seen = network.seen {
            for _ in 0..<12 {
                pair.bob.send(InnerPacket.udp4(from: 2, to: 1))
                network.advance(by: .seconds(1))
            }
        }
        // Only retries of the first initiation.
        #expect(seen.filter { $0.type == 1 }.count == 2)
        #expect(pair.alice.initiations(to: pair.bob) == 2)
    }

    @Test("late messages under the previous key do not start another session")
    func lateMessagesUnderPrevious() {
        let pair = network.makePair()
        pair.connect()
        // The second session starts at 160 s, when Alice sends. Bob's last message of the first one
        // arrives at 166 s.
        network.advance(by: .seconds(159))
        network.eve.meddle = { $0.type == 4 ? .delay(.seconds(8)) : .pass }
        pair.bob.send(InnerPacket.udp4(from: 2, to: 1))
        network.eve.meddle = { _ in .pass }
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        network.settle()
        #expect(network.eve.seen(1).count == 2)
        network.advance(by: .seconds(9))
        #expect(pair.alice.received.count == 1)
        #expect(network.eve.seen(1).count == 2)
    }

    @Test("under a key of 180 s nothing is sent and nothing is accepted")
    func rejectAfterTime() {
        let pair = network.makePair()
        pair.connect()
        network.advance(by: .milliseconds(179_800))
        network.eve.meddle = {
            $0.type == 4 ? .delay(.milliseconds(500)) : $0.type == 1 ? .drop : .pass
        }
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2, identification: 1))
        network.advance(by: .milliseconds(600))
        #expect(pair.bob.received == [])
        #expect(pair.bob.tunnel.drops(.expiredKeypair) == 1)
        network.eve.meddle = { _ in .pass }
        network.eve.forget()
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2, identification: 2))
        #expect(network.eve.seen.allSatisfy { $0.type == 1 })
        network.advance(by: .seconds(6))
        #expect(pair.bob.receivedNumbers == [2])
    }

    @Test("traffic in one direction causes one handshake every 120 s")
    func oneWayTraffic() {
        let pair = network.makePair()
        network.eve.remembers = false
        for _ in 0..<3_600 {
            pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
            network.advance(by: .seconds(1))
        }
        #expect(pair.bob.received.count == 3_600)
        #expect(
            (29...30).contains(pair.alice.initiations(to: pair.bob)))
        #expect(pair.alice.initiations(to: pair.bob, isRetry: true) == 0)
        #expect(pair.bob.initiations(to: pair.alice) == 0)
    }

    @Test("traffic and keepalives in both directions cause one handshake every 120 s")
    func bothWayTraffic() {
        let pair = network.makePair(.mutualEndpoints)
        pair.alice.addPeer(pair.bob.publicKey, allowedIPs: [], persistentKeepalive: 3)
        network.settle()
        pair.bob.addPeer(pair.alice.publicKey, allowedIPs: [], persistentKeepalive: 3)
        network.eve.remembers = false
        for _ in 0..<3_600 {
            pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
            pair.bob.send(InnerPacket.udp4(from: 2, to: 1))
            network.advance(by: .seconds(1))
        }
        #expect(pair.bob.received.count == 3_600 && pair.alice.received.count == 3_600)
        let initiations = [(pair.alice, pair.bob), (pair.bob, pair.alice)].map { from, to in
            from.initiations(to: to)
                + from.initiations(to: to, isRetry: true)
        }
        #expect((29...31).contains(initiations[0] + initiations[1]), "\(initiations)")
    }

    @Test("all keys are wiped 540 s after the last session was derived")
    func zeroKeyMaterial() {
        let pair = network.makePair()
        pair.connect()
        network.advance(by: .seconds(538))
        #expect(pair.alice.indexCount == 1 && pair.bob.indexCount == 1)
        network.advance(by: .seconds(2))
        #expect(pair.alice.indexCount == 0 && pair.bob.indexCount == 0)
        #expect(pair.alice.tunnel.device.tables.keypairs.count == 0)
        #expect(pair.bob.tunnel.device.tables.keypairs.count == 0)
        #expect(pair.alice.count(.keysWiped(pair.bob.publicKey)) == 1)
        #expect(pair.isAlive())
    }

    @Test("a handshake that starts after 540 s of attempts uses no key of the last session")
    func zeroAfterGivingUp() {
        let pair = network.makePair()
        network.eve.meddle = { _ in .drop }
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        network.advance(by: .seconds(107))
        #expect(pair.alice.tunnel.device.handshakes.count == 1)
        network.advance(by: .seconds(540))
        #expect(pair.alice.tunnel.device.handshakes.isEmpty)
        #expect(pair.alice.count(.keysWiped(pair.bob.publicKey)) == 1)
    }

    // MARK: Message limits

    @Test("an initiator starts a new session after 2^60 messages")
    func rekeyAfterMessages() {
        let pair = network.makePair()
        pair.connect()
        network.advance(by: .seconds(6))
        pair.alice.withCurrentKeypair(to: pair.bob) { $0.skipCounters(to: 1 << 60) }
        let seen = network.seen { pair.alice.send(InnerPacket.udp4(from: 1, to: 2)) }
        #expect(seen.map(\.type) == [4, 1])
        network.settle()
        #expect(pair.bob.received.count == 1)
        #expect(pair.isAlive())
    }

    @Test(
        "the last counter is sent and accepted, the next one is not; staged packets use the next key"
    )
    func rejectAfterMessages() {
        let pair = network.makePair()
        pair.connect()
        network.advance(by: .seconds(6))
        let limit = UInt64.max - 1 << 13
        network.eve.meddle = { $0.type == 1 ? .drop : .pass }
        pair.alice.withCurrentKeypair(to: pair.bob) { $0.skipCounters(to: limit - 1) }
        let seen = network.seen {
            for number in 1...3 {
                pair.alice.send(
                    InnerPacket.udp4(from: 1, to: 2, identification: UInt16(number)))
            }
            network.settle()
        }
        #expect(seen.map(\.type) == [4, 1])
        #expect(pair.bob.receivedNumbers == [1])
        network.eve.meddle = { _ in .pass }
        network.advance(by: .seconds(6))
        #expect(pair.bob.receivedNumbers == [1, 2, 3])
    }

    @Test("the limit of one handshake message in 5 s includes responses")
    func limitAfterResponse() {
        let pair = network.makePair()
        pair.connect()
        pair.bob.withCurrentKeypair(to: pair.alice) { $0.skipCounters(to: .max - 1 << 13) }
        let seen = network.seen {
            for _ in 0..<30 {
                pair.bob.send(InnerPacket.udp4(from: 2, to: 1))
                network.advance(by: .milliseconds(200))
            }
        }
        let initiation = seen.first { $0.type == 1 && $0.from == pair.bob.address }
        let response = network.eve.seen(2)[0]
        let gap = initiation?.time.since(response.time)
        #expect(gap.map { $0 >= .seconds(5) && $0 < .milliseconds(5_400) } == true)
    }
}
