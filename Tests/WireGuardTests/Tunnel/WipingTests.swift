import Packets
import Synchronization
import Testing
import WireGuardCrypto
import WireGuardTestSupport

@testable import WireGuard

@Suite("Wiping all sessions, before the memory is copied or written to a disk")
struct WipingTests {
    let network = Network()
    let pair: Pair

    init() {
        pair = network.makePair(.mutualEndpoints)
    }

    /// Alice still has the old session, so the first packet is Bob's.
    private func expectBobToReconnect() {
        pair.bob.send(InnerPacket.udp4(from: 2, to: 1))
        network.settle()
        #expect(pair.alice.received.count == 1)
        #expect(pair.isAlive())
    }

    private func receiver(of capture: Capture) -> [UInt8] { Array(capture.bytes[4..<8]) }

    @Test("after a wipe, no old key seals anything, and a packet starts a handshake at once")
    func freshKeys() {
        pair.connect()
        let old = network.eve.seen(4, from: pair.alice).map(receiver)
        // Within Rekey-Timeout of the last handshake, which would delay the next one.
        pair.alice.tunnel.wipeSessions()
        #expect(pair.alice.indexCount == 0)
        #expect(pair.alice.tunnel.device.tables.keypairs.count == 0)
        // Bob may not answer his second initiation within 20 ms.
        network.advance(by: .milliseconds(100))
        let seen = network.seen {
            pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
            network.settle()
        }
        #expect(seen.map(\.type) == [1, 2, 4])
        #expect(!old.isEmpty && !old.contains { receiver(of: seen[2]) == $0 })
        #expect(pair.bob.received.count == 1)
        #expect(pair.isAlive())
    }

    @Test("a message under the old keys is not opened after a wipe")
    func oldMessage() {
        pair.connect()
        pair.alice.tunnel.wipeSessions()
        pair.bob.send(InnerPacket.udp4(from: 2, to: 1))
        network.settle()
        #expect(pair.alice.received == [])
        #expect(pair.alice.tunnel.drops(.unknownIndex) == 1)
    }

    @Test("a wipe of the responder removes the session that waits for its first message")
    func waitingSession() {
        network.eve.meddle = { $0.type == 2 ? .delay(.milliseconds(500)) : .pass }
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        network.advance(by: .milliseconds(50))
        #expect(pair.bob.indexCount == 1)
        pair.bob.tunnel.wipeSessions()
        #expect(pair.bob.indexCount == 0)
        network.eve.meddle = { _ in .pass }
        network.advance(by: .seconds(1))
        #expect(pair.bob.received == [])
        expectBobToReconnect()
    }

    @Test("a wipe forgets our initiation, and the staged packet is sent with the next one")
    func pendingHandshake() {
        network.eve.meddle = { $0.type == 2 ? .delay(.milliseconds(500)) : .pass }
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        network.advance(by: .milliseconds(50))
        pair.alice.tunnel.wipeSessions()
        #expect(pair.alice.tunnel.device.handshakes.isEmpty)
        network.eve.meddle = { _ in .pass }
        network.advance(by: .seconds(1))
        // The response has no initiation any more.
        #expect(pair.alice.tunnel.drops(.invalidHandshake) == 1)
        #expect(pair.bob.received == [])
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        network.settle()
        #expect(pair.bob.received.count == 2)
    }

    @Test("a key that was confirmed just before a wipe does not count as a handshake")
    func confirmation() {
        pair.connect()
        let device = pair.bob.tunnel.device
        let before = pair.bob.snapshot(of: pair.alice)?.lastHandshake
        network.advance(by: .seconds(1))
        _ = device.shared.request(
            .keyConfirmed, of: PeerSlot(rawValue: 0), in: device.tables)
        device.wipeSessions()
        while device.handleWork(at: pair.bob.now) {}
        #expect(pair.bob.snapshot(of: pair.alice)?.lastHandshake == before)
        expectBobToReconnect()
    }

    @Test("a wipe keeps the configuration, the counters and the time of the last handshake")
    func restStays() {
        func state() -> [String] {
            var writer = UAPIWriter()
            pair.alice.tunnel.write(to: &writer)
            let bytes = writer.bytes
            return String(
                decoding: (0..<bytes.byteCount).map { bytes.byte(at: $0) }, as: UTF8.self
            ).split(separator: "\n").map(String.init)
        }
        pair.connect()
        let before = state()
        pair.alice.tunnel.wipeSessions()
        #expect(state() == before)
        #expect(before.contains { $0.hasPrefix("last_handshake_time_sec=17") })
    }

    @Test("no timer of the wiped keys stays")
    func timers() {
        pair.connect()
        network.advance(by: .seconds(60))
        pair.alice.tunnel.wipeSessions()
        #expect(pair.alice.nextTimeout == nil)
    }

    @Test("a wipe replaces the secret of cookies")
    func cookies() {
        pair.bob.isUnderLoad = true
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        network.settle()
        #expect(network.eve.seen.map(\.type) == [1, 3])
        pair.bob.tunnel.wipeSessions()
        // The retry has a cookie made from the old secret.
        network.advance(by: .seconds(6))
        #expect(network.eve.seen.prefix(4).map(\.type) == [1, 3, 1, 3])
        network.advance(by: .seconds(6))
        #expect(network.eve.seen(2).count == 1)
    }

    @Test("a set with wipe_sessions=true wipes; get does not print it")
    func set() {
        pair.connect()
        pair.alice.configure("fwmark=7\nwipe_sessions=true")
        #expect(pair.alice.indexCount == 0)
        #expect(pair.alice.tunnel.firewallMark == 7)
        var writer = UAPIWriter()
        pair.alice.tunnel.write(to: &writer)
        let bytes = writer.bytes
        let text = String(
            decoding: (0..<bytes.byteCount).map { bytes.byte(at: $0) }, as: UTF8.self)
        #expect(text.contains("fwmark=7") && !text.contains("wipe"))
    }

    @Test("a set with an error wipes nothing")
    func refusedSet() {
        pair.connect()
        #expect(throws: ConfigurationError.self) {
            try pair.alice.tunnel.configure(
                "wipe_sessions=true\nlisten_port=70000", now: pair.alice.now)
        }
        #expect(pair.alice.indexCount == 1)
    }
}
