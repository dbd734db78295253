import Packets
import Testing
import WireGuardTestSupport

@testable import WireGuard

@Suite("Under load, a sender must prove its address")
struct UnderLoadTests {
    let network = Network()
    let pair: Pair

    init() {
        pair = network.makePair()
    }

    /// Puts Bob under load when the next datagram arrives, then lets it handle everything.
    func deliverUnderLoad() {
        pair.bob.overload()
        network.settle()
        pair.bob.handleTimeout()
        network.settle()
    }

    @Test("an initiation is answered with a cookie, and with the cookie it is accepted")
    func cookie() {
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        deliverUnderLoad()
        #expect(network.eve.seen.map(\.type) == [1, 3])
        #expect(network.eve.seen[1].bytes.count == CookieReply.byteCount)
        #expect(network.eve.seen[1].trafficClass == 0)
        #expect(pair.bob.drops(.cookieRequired).map(\.remote) == [pair.alice.address])
        #expect(pair.alice.cookies(of: pair.bob) == 1)
        #expect(pair.bob.tunnel.device.handshakes.isEmpty && pair.bob.indexCount == 0)

        // The cookie is kept for the next initiation; it does not cause one.
        let wait = network.advance(atMost: .seconds(6)) { network.eve.seen(1).count == 2 }
        #expect(wait.map { $0 >= .milliseconds(4_900) && $0 < .milliseconds(5_400) } == true)
        let retry = network.eve.seen(1)[1].bytes
        #expect(retry.suffix(16) != ArraySlice(repeating: 0, count: 16))
        deliverUnderLoad()
        #expect(network.eve.seen(2).count == 1)
        #expect(pair.bob.received.count == 1)
        #expect(pair.isAlive())
    }

    @Test("forced load: a cookie of 64 bytes, no handshake yet, and success after 5 s")
    func forced() {
        pair.bob.isUnderLoad = true
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        network.settle()
        #expect(network.eve.seen.map(\.type) == [1, 3])
        #expect(network.eve.seen(3).map(\.bytes.count) == [64])
        #expect(pair.bob.received == [])
        #expect(pair.alice.snapshot(of: pair.bob)?.lastHandshake == nil)
        network.advance(by: .milliseconds(5_400))
        #expect(network.eve.seen.prefix(4).map(\.type) == [1, 3, 1, 2])
        #expect(pair.bob.received.count == 1)
        pair.bob.isUnderLoad = false
        #expect(pair.isAlive())
    }

    @Test("a cookie is valid for one address and port")
    func otherPort() {
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        deliverUnderLoad()
        pair.alice.move(to: Pair.address(192, 0, 2, 1, port: 51999))
        _ = network.advance(atMost: .seconds(6)) { network.eve.seen(1).count == 2 }
        deliverUnderLoad()
        #expect(network.eve.seen.map(\.type) == [1, 3, 1, 3])
    }

    @Test("a response is answered with a cookie, too")
    func responseUnderLoad() {
        network.eve.meddle = { $0.type == 2 ? .delay(.milliseconds(100)) : .pass }
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        network.advance(by: .milliseconds(50))
        pair.alice.overload()
        network.settle()
        pair.alice.handleTimeout()
        network.settle()
        #expect(network.eve.seen.map(\.type) == [1, 2, 3])
        #expect(pair.bob.cookies(of: pair.alice) == 1)
        // The next response carries the cookie.
        network.eve.meddle = { _ in .pass }
        network.advance(by: .seconds(6))
        #expect(pair.bob.received.count == 1)
        #expect(network.eve.seen(2).last?.bytes.suffix(16).allSatisfy { $0 == 0 } == false)
    }

    @Test("without load any mac2 is accepted")
    func ignoredMAC2() {
        network.eve.meddle = {
            if $0.type <= 2 { $0.bytes[$0.bytes.count - 1] = 0xEE }
            return .pass
        }
        #expect(pair.isAlive())
    }

    @Test("messages with a wrong mac1 are not answered with a cookie")
    func forgedUnderLoad() {
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        let initiation = network.eve.seen[0].bytes
        network.settle()
        network.eve.forget()
        var forged = initiation
        forged[HandshakeInitiation.Offset.mac1] ^= 1
        network.inject(forged, from: pair.alice.address, to: pair.bob.address)
        deliverUnderLoad()
        #expect(network.eve.seen == [])
    }

    @Test("load ends a second after the flood")
    func afterglow() {
        pair.bob.overload()
        pair.bob.handleTimeout()
        network.advance(by: .milliseconds(1_100))
        #expect(pair.isAlive())
        #expect(network.eve.seen(3).isEmpty)
    }

    @Test("a cookie reply is accepted once, and not after the handshake is answered")
    func replayedCookie() {
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        deliverUnderLoad()
        guard let reply = network.eve.seen(3).first else {
            Issue.record("no cookie")
            return
        }
        network.replay(reply)
        network.settle()
        #expect(pair.alice.cookies(of: pair.bob) == 1)
        network.advance(by: .seconds(6))
        #expect(pair.bob.received.count == 1)
        network.replay(reply)
        network.settle()
        #expect(pair.alice.cookies(of: pair.bob) == 1)
        let device = pair.alice.tunnel.device
        let isWaiting = device.peersByKey[pair.bob.publicKey]?.cookie.isWaitingForReply
        #expect(isWaiting == false)
    }

    @Test("a full queue drops the newest, and queued messages are handled")
    func fullQueue() {
        flood(signed(junk(type: 1), for: pair.bob.publicKey), count: capacity + 1)
        #expect(pair.bob.tunnel.drops(.handshakeQueueFull) == 1)
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        network.settle()
        #expect(pair.bob.tunnel.drops(.handshakeQueueFull) == 2)
        pair.bob.handleTimeout()
        #expect(pair.bob.tunnel.drops(.cookieRequired) == UInt64(capacity))
        network.advance(by: .seconds(7))
        #expect(pair.bob.received.count == 1)
    }

    @Test(
        "messages with a wrong mac1 neither take room in the queue nor cause load",
        arguments: [UInt8(1), 2])
    func junkCausesNoLoad(type: UInt8) {
        flood(junk(type: type), count: 2 * capacity)
        #expect(pair.bob.tunnel.drops(.invalidMAC1) == UInt64(2 * capacity))
        #expect(pair.bob.tunnel.device.shared.handshakes.next() == nil)
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        network.settle()
        #expect(network.eve.seen(3) == [])
        #expect(pair.bob.received.count == 1)
    }

    @Test("cookie replies, which need no key, leave room in the queue and cause no load")
    func junkCookieReplies() {
        flood(junk(type: 3), count: 2 * capacity)
        let limit = HandshakeQueue.maximumCookieReplies
        #expect(pair.bob.tunnel.drops(.handshakeQueueFull) == UInt64(2 * capacity - limit))
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        network.settle()
        pair.bob.handleTimeout()
        network.settle()
        #expect(pair.bob.tunnel.drops(.unknownIndex) == UInt64(limit))
        #expect(network.eve.seen(3) == [])
        #expect(pair.bob.received.count == 1)
        // The queue has room for replies again.
        flood(junk(type: 3), count: 1)
        #expect(pair.bob.tunnel.drops(.handshakeQueueFull) == UInt64(2 * capacity - limit))
    }

    @Test("without a private key, handshake messages are not queued")
    func noPrivateKey() {
        pair.bob.configure("private_key=" + String(repeating: "0", count: 64))
        flood(signed(junk(type: 1), for: pair.bob.publicKey), count: 3)
        #expect(pair.bob.tunnel.drops(.noPrivateKey) == 3)
        #expect(pair.bob.tunnel.device.shared.handshakes.next() == nil)
    }

    private var capacity: Int { Constants.handshakeQueueLength }

    private func junk(type: UInt8) -> [UInt8] {
        let lengths = [
            HandshakeInitiation.byteCount, HandshakeResponse.byteCount, CookieReply.byteCount,
        ]
        var bytes = [UInt8](repeating: 0, count: lengths[Int(type) - 1])
        bytes[0] = type
        return bytes
    }

    /// Passes messages to Bob's packet path in one burst, before the control thread runs.
    private func flood(_ message: [UInt8], count: Int) {
        let device = pair.bob.tunnel.device
        var path = SinglePacketPath(
            shared: device.shared, gate: device.shared.makeGate(), jitterSeed: 1)
        var packets = Outputs<[UInt8]>()
        let arrival = UDPArrival(
            bytes: SegmentRange(), remote: Pair.address(203, 0, 113, 9, port: 9))
        let now = pair.bob.now.instant
        withBytes(message) { bytes in
            for _ in 0..<count { _ = path.open(bytes, arrival, to: &packets, now: now) }
        }
    }
}
