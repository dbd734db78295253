import Packets
import Testing
import WireGuardTestSupport

@testable import WireGuard

@Suite("Handshakes and sessions")
struct SessionTests {
    let network = Network()

    @Test("a handshake takes one message each way, and a preshared key is used if both have it")
    func presharedKey() {
        let pair = network.makePair(.presharedKey)
        #expect(pair.isAlive())
        #expect(network.eve.seen.map(\.type) == [1, 2, 4, 4])
    }

    @Test("a preshared key must be set on both hosts, or there is no session")
    func oneSidedPresharedKey() {
        let pair = network.makePair()
        let key = [UInt8](repeating: 7, count: 32)
        pair.bob.addPeer(pair.alice.publicKey, allowedIPs: [], presharedKey: key)
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2, identification: 1))
        network.settle()
        #expect(network.eve.seen.map(\.type) == [1, 2])
        #expect(pair.alice.tunnel.drops(.invalidHandshake) == 1)
        pair.alice.addPeer(pair.bob.publicKey, allowedIPs: [], presharedKey: key)
        network.advance(by: .seconds(6))
        #expect(pair.bob.receivedNumbers == [1])
    }

    @Test("a preshared key changed on both hosts applies from the next handshake on")
    func changedPresharedKey() {
        let pair = network.makePair()
        pair.connect()
        let key = [UInt8](repeating: 9, count: 32)
        pair.alice.addPeer(pair.bob.publicKey, allowedIPs: [], presharedKey: key)
        pair.bob.addPeer(pair.alice.publicKey, allowedIPs: [], presharedKey: key)
        #expect(pair.isAlive())
        network.advance(by: .seconds(125))
        let seen = network.seen { _ = pair.isAlive() }
        #expect(seen.contains { $0.type == 2 })
        network.advance(by: .seconds(1))
        #expect(pair.isAlive())
        pair.alice.addPeer(
            pair.bob.publicKey, allowedIPs: [], presharedKey: [UInt8](repeating: 0, count: 32))
        network.advance(by: .seconds(190))
        #expect(!pair.isAlive())
    }

    @Test("a responder sends nothing before the initiator has used the session")
    func keyConfirmation() {
        let pair = network.makePair()
        network.eve.meddle = { $0.type == 4 ? .drop : .pass }
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2, identification: 1))
        network.settle()
        let seen = network.seen {
            pair.bob.send(InnerPacket.udp4(from: 2, to: 1, identification: 2))
            network.advance(by: .seconds(1))
        }
        #expect(seen == [])
        #expect(pair.bob.rotations(for: pair.alice) == 0)
        network.eve.meddle = { _ in .pass }
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2, identification: 3))
        network.settle()
        #expect(pair.bob.rotations(for: pair.alice) == 1)
        #expect(pair.alice.receivedNumbers == [2], "what waited is sent at once")
    }

    @Test("data confirms the keypair it was received under, even during another handshake")
    func confirmationOfTheWrongKeypair() {
        let pair = network.makePair()
        var data: [Capture] = []
        network.eve.meddle = {
            guard $0.type == 4 else { return .pass }
            data.append($0)
            return .drop
        }
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        network.settle()
        network.advance(by: .milliseconds(30))
        pair.alice.takeDown()
        pair.alice.bringUp()
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        let initiation = network.eve.seen[network.eve.seen.count - 1]
        #expect(initiation.type == 1)

        // The packet path opens the data and requests the confirmation. The control thread handles the
        // second initiation first.
        let device = pair.bob.tunnel.device
        var lanes = SinglePacketPath(
            shared: device.shared, gate: device.shared.makeGate(), jitterSeed: 1)
        var packets = Outputs<[UInt8]>()
        var message = UDPArrival<SegmentRange>.empty
        message.remote = pair.alice.address
        for bytes in data.map(\.bytes) {
            _ = withBytes(bytes) {
                lanes.open($0, message, to: &packets, now: pair.bob.now.instant)
            }
        }
        #expect(packets.next() != nil)
        device.handle(
            HandshakeQueue.Message(
                bytes: initiation.bytes, kind: .initiation, remote: initiation.from, source: nil,
                waiting: 1),
            at: device.steady(pair.bob.now))
        _ = device.handleWork(at: pair.bob.now)
        // Also takes the events.
        pair.bob.handleTimeout()
        let keypairs = device.peersByKey[pair.alice.publicKey]?.keypairs
        #expect(keypairs?.current != nil)
        #expect(keypairs?.next != nil)
        #expect(keypairs?.current != keypairs?.next)
        #expect(pair.bob.rotations(for: pair.alice) == 1)
    }

    @Test("messages under the previous keypair are still received in a new session")
    func previousKeypair() {
        let pair = network.makePair()
        pair.connect()
        network.advance(by: .seconds(130))
        network.eve.meddle = { $0.type == 4 ? .delay(.seconds(2)) : .pass }
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2, identification: 1))
        network.settle()
        network.eve.meddle = { _ in .pass }
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2, identification: 2))
        network.advance(by: .seconds(3))
        #expect(pair.bob.receivedNumbers == [2, 1])
        #expect(pair.bob.tunnel.device.tables.keypairs.count == 2)
    }

    @Test(
        "a response just before the next initiation is accepted", arguments: [0, 250, 4_900])
    func lateResponse(milliseconds: UInt64) {
        let pair = network.makePair()
        network.eve.meddle = { $0.type == 2 ? .delay(.milliseconds(milliseconds)) : .pass }
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        network.advance(by: .milliseconds(4_990))
        #expect(pair.bob.received.count == 1)
        #expect(network.eve.seen(1).count == 1)
    }

    @Test("a forged response with the right index does not change the handshake")
    func forgedResponses() {
        let pair = network.makePair()
        network.eve.meddle = { $0.type == 2 ? .delay(.milliseconds(500)) : .pass }
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        network.advance(by: .milliseconds(15))
        let response = network.eve.seen(2)[0]
        // Skip the sender index, which only mac1 authenticates.
        for index in [12, 43, 44, 59] {
            var forged = response.bytes
            forged[index] ^= 1
            network.inject(
                signed(forged, for: pair.alice.publicKey), from: pair.bob.address,
                to: pair.alice.address)
        }
        // Also with a point of low order as its ephemeral key.
        var low = response.bytes
        low.replaceSubrange(12..<44, with: repeatElement(0, count: 32))
        network.inject(
            signed(low, for: pair.alice.publicKey), from: pair.bob.address, to: pair.alice.address)
        network.advance(by: .milliseconds(100))
        #expect(pair.alice.tunnel.drops(.invalidHandshake) == 5)
        network.advance(by: .seconds(1))
        #expect(pair.bob.received.count == 1)
    }

    @Test("simultaneous handshakes lose no packet", arguments: 0..<20)
    func simultaneousInitiations(seed: UInt64) {
        let network = Network(seed: seed)
        let pair = network.makePair(.mutualEndpoints)
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2, identification: 1))
        pair.bob.send(InnerPacket.udp4(from: 2, to: 1, identification: 2))
        network.settle()
        #expect(pair.bob.receivedNumbers == [1])
        #expect(pair.alice.receivedNumbers == [2])
        #expect(pair.isAlive())
        #expect(network.eve.seen(1).count == 2)
        #expect(pair.alice.indexCount <= 3 && pair.bob.indexCount <= 3)
    }

    @Test("simultaneous handshakes work over long latencies", arguments: [300, 400, 900])
    func simultaneousInitiationsOverSatellite(milliseconds: UInt64) {
        network.latency = .milliseconds(milliseconds)
        let pair = network.makePair(.mutualEndpoints)
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2, identification: 1))
        pair.bob.send(InnerPacket.udp4(from: 2, to: 1, identification: 2))
        // Two trips for the handshake, one to confirm the key, and one for the staged packets.
        network.advance(by: .milliseconds(4 * milliseconds))
        #expect(pair.bob.receivedNumbers == [1])
        #expect(pair.alice.receivedNumbers == [2])
        // Only one host starts the next session.
        for _ in 0..<10 {
            network.advance(by: .seconds(13))
            pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        }
        network.advance(by: .seconds(12))
        #expect(network.eve.seen(1).count == 3)
    }

    @Test("hosts that start at the same time have one session at a time", arguments: 0..<8)
    func alwaysSimultaneous(seed: UInt64) {
        let network = Network(seed: seed)
        let pair = network.makePair(.mutualEndpoints)
        for _ in 0..<7_200 {
            pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
            pair.bob.send(InnerPacket.udp4(from: 2, to: 1))
            network.advance(by: .milliseconds(100))
        }
        #expect(pair.alice.received.count == 7_200 && pair.bob.received.count == 7_200)
        // The first two cross; then one host starts a session every 120 s.
        #expect(network.eve.seen(1).count <= 2 + 6)
        #expect(Set(network.eve.seen(1).dropFirst(2).map(\.from)).count == 1)
    }

    @Test("an initiation that a response delays is sent later")
    func retryAfterResponse() {
        let pair = network.makePair(.mutualEndpoints)
        network.eve.meddle = { _ in .drop }
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2, identification: 1))
        network.advance(by: .seconds(3))
        // Bob's initiation arrives, then Bob and Alice's response are lost.
        network.eve.meddle = { $0.type == 1 ? .pass : .drop }
        pair.bob.send(InnerPacket.udp4(from: 2, to: 1, identification: 2))
        network.settle()
        pair.bob.takeDown()
        pair.bob.bringUp()
        network.eve.meddle = { _ in .pass }
        network.advance(by: .seconds(6))
        #expect(pair.bob.receivedNumbers == [1])
    }

    @Test("consecutive valid initiations leave at most four indices")
    func manyInitiations() {
        let pair = network.makePair()
        network.eve.meddle = { $0.type == 2 ? .drop : .pass }
        for _ in 0..<300 {
            pair.alice.takeDown()
            pair.alice.bringUp()
            pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
            network.advance(by: .milliseconds(25))
            #expect(pair.bob.indexCount <= 4 && pair.alice.indexCount <= 4)
        }
        #expect(network.eve.seen(2).count == 300)
        #expect(pair.bob.tunnel.device.tables.keypairs.count <= 3)
        network.eve.meddle = { _ in .pass }
        network.advance(by: .seconds(6))
        #expect(pair.isAlive())
    }

    @Test("unanswered initiations leave one index, and a session at most two")
    func initiatorIndices() {
        let pair = network.makePair()
        network.eve.meddle = { $0.type == 1 ? .drop : .pass }
        for _ in 0..<30 {
            pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
            network.advance(by: .seconds(6))
            #expect(pair.alice.indexCount == 1)
        }
        network.eve.meddle = { _ in .pass }
        network.advance(by: .seconds(6))
        #expect(pair.isAlive())
        #expect(pair.alice.tunnel.device.handshakes.isEmpty && pair.alice.indexCount <= 2)
    }

    @Test("a second initiation within 20 ms is refused, and one after that is not")
    func initiationFlood() {
        let pair = network.makePair()
        for gap in [19, 21] as [UInt64] {
            network.advance(by: .seconds(1))
            pair.alice.takeDown()
            pair.alice.bringUp()
            pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
            network.advance(by: .milliseconds(gap))
            pair.alice.takeDown()
            pair.alice.bringUp()
            pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
            network.advance(by: .milliseconds(100))
        }
        #expect(pair.bob.drops(.invalidHandshake, .tooSoon).count == 1)
        #expect(network.eve.seen(2).count == 3)
    }

    @Test("indices are random: no duplicates, and none small")
    func randomIndices() {
        let pair = network.makePair()
        network.eve.meddle = { $0.type == 2 ? .drop : .pass }
        for _ in 0..<50 {
            pair.alice.takeDown()
            pair.alice.bringUp()
            pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
            network.advance(by: .milliseconds(30))
        }
        let indices = network.eve.seen.filter { $0.type <= 2 }.map { $0.littleEndian(at: 4) }
        #expect(Set(indices).count == 100)
        #expect(indices.filter { $0 < 1 << 16 }.count <= 2)
    }

    @Test("a peer with our own public key is ignored, in either order")
    func ownKey() {
        let host = network.addHost("Alice", at: Pair.address(192, 0, 2, 1, port: 1))
        host.addPeer(host.publicKey, allowedIPs: ["10.0.0.0/8"], endpoint: host.address)
        #expect(host.tunnel.peers == [])
        host.configure("private_key=" + String(repeating: "0", count: 64))
        host.addPeer(host.publicKey, allowedIPs: ["10.0.0.0/8"], endpoint: host.address)
        #expect(host.tunnel.peers == [host.publicKey])
        host.configure("private_key=" + host.privateKey)
        #expect(host.tunnel.peers == [])
    }

    @Test("peers with a key of low order are kept, and nothing is sent to them")
    func lowOrderPeers() {
        let host = network.addHost("Alice", at: Pair.address(192, 0, 2, 1, port: 1))
        let points = [
            String(repeating: "0", count: 64),
            "01" + String(repeating: "0", count: 62),
            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
            "ec" + String(repeating: "f", count: 60) + "7f",
            "ed" + String(repeating: "f", count: 60) + "7f",
            "ee" + String(repeating: "f", count: 60) + "7f",
        ]
        for (index, point) in points.enumerated() {
            host.addPeer(
                publicKey(hexBytes(point)), allowedIPs: ["10.0.0.\(index + 10)/32"],
                endpoint: Pair.address(198, 51, 100, 7, port: 7), persistentKeepalive: 5)
            host.send(InnerPacket.udp4(from: 1, to: UInt8(index + 10)))
        }
        network.advance(by: .seconds(600))
        #expect(host.tunnel.peers.count == points.count)
        #expect(network.eve.seen == [])
        #expect(host.nextTimeout == nil)
    }
}
