import Testing
import WireGuardTestSupport

@testable import WireGuard

@Suite("Silence: unauthentic datagrams change nothing and are not answered")
struct SilenceTests {
    let network = Network()
    let pair: Pair
    let eve = Pair.address(203, 0, 113, 66, port: 666)

    init() {
        pair = network.makePair()
        pair.connect()
        // Past the 20 ms limit between two initiations, which would refuse them, too.
        network.advance(by: .seconds(1))
    }

    /// Bob's state that only authentic messages may change.
    struct State: Equatable {
        var timers: [UInt64]
        var received: UInt64?
        var endpoint: SocketAddress?
        var indices: Int
    }

    func state() -> State {
        let device = pair.bob.tunnel.device
        let slot = device.peersByKey[pair.alice.publicKey]?.slot.rawValue ?? 0
        return State(
            timers: [
                device.tables.peers[slot].timers.retransmitHandshake.load(ordering: .relaxed),
                device.tables.peers[slot].timers.sendKeepalive.load(ordering: .relaxed),
                device.tables.peers[slot].timers.newHandshake.load(ordering: .relaxed),
                device.tables.peers[slot].timers.zeroKeyMaterial.load(ordering: .relaxed),
            ], received: pair.bob.snapshot(of: pair.alice)?.rxBytes,
            endpoint: pair.bob.snapshot(of: pair.alice)?.endpoint, indices: pair.bob.indexCount)
    }

    /// Sends datagrams to Bob from two addresses, and expects no effect. Expects
    /// `malformedMessage` for those that are not messages.
    func expectSilence(
        _ datagrams: [[UInt8]], sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let before = state()
        let malformed = pair.bob.tunnel.drops(.malformedMessage)
        for datagram in datagrams {
            for source in [eve, pair.alice.address] {
                let seen = network.seen {
                    network.inject(datagram, from: source, to: pair.bob.address)
                    network.settle()
                }
                #expect(seen == [], "an answer", sourceLocation: sourceLocation)
            }
        }
        #expect(pair.bob.received == [], "a packet", sourceLocation: sourceLocation)
        #expect(state() == before, "a change", sourceLocation: sourceLocation)
        let wrong = UInt64(2 * datagrams.count { !isMessage($0) })
        #expect(
            pair.bob.tunnel.drops(.malformedMessage) - malformed == wrong, "looked into",
            sourceLocation: sourceLocation)
        #expect(pair.isAlive(), sourceLocation: sourceLocation)
    }

    /// Whether a datagram has a valid type and the length for it.
    private func isMessage(_ datagram: [UInt8]) -> Bool {
        guard datagram.count >= 4, datagram[1...3].allSatisfy({ $0 == 0 }) else { return false }
        switch datagram[0] {
        case 1: return datagram.count == 148
        case 2: return datagram.count == 92
        case 3: return datagram.count == 64
        case 4: return datagram.count >= 32
        default: return false
        }
    }

    @Test("zeros of any length up to 200 after any type", arguments: [0, 1, 2, 3, 4, 5, 255])
    func lengths(type: UInt8) {
        expectSilence(
            (0...200).map { length in
                Array(([type] + [UInt8](repeating: 0, count: 200)).prefix(length))
            })
    }

    @Test(
        "datagrams up to the maximum length, and longer",
        arguments: [1_500, 4_096, 4_097, 65_507, 65_535, 65_536, 69_632, 69_633, 200_000])
    func long(length: Int) {
        let data = network.eve.seen(4)[0].bytes
        expectSilence(
            [0, 1, 2, 3, 4, 5].map { [$0] + [UInt8](repeating: 0xFF, count: length - 1) }
                + [data + [UInt8](repeating: 0, count: length - data.count)])
    }

    @Test("each message with each of its reserved bytes set")
    func reservedBytes() {
        expectSilence(
            network.eve.seen.flatMap { capture in
                (1...3).map { index in
                    var bytes = capture.bytes
                    bytes[index] = 1
                    return bytes
                }
            })
    }

    @Test("each message one byte short and one byte long")
    func wrongLengths() {
        expectSilence(
            network.eve.seen.flatMap { [Array($0.bytes.dropLast()), $0.bytes + [0]] })
    }

    @Test("each message again, to its receiver and back to its sender")
    func replays() {
        let captures = network.eve.seen
        expectSilence(captures.map(\.bytes))
        let before = pair.alice.received.count
        let seen = network.seen {
            for capture in captures {
                network.inject(capture.bytes, from: pair.bob.address, to: pair.alice.address)
            }
            network.settle()
        }
        #expect(seen == [])
        #expect(pair.alice.received.count == before)
        #expect(pair.isAlive())
    }

    @Test("an initiation with a wrong mac1, byte by byte")
    func wrongMAC1() {
        pair.alice.takeDown()
        pair.alice.bringUp()
        network.eve.meddle = { _ in .drop }
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        network.eve.meddle = { _ in .pass }
        let initiation = network.eve.seen(1).last?.bytes ?? []
        let forged = (0..<HandshakeInitiation.Offset.mac2).map { index in
            var bytes = initiation
            bytes[index] ^= 0x10
            return bytes
        }
        let before = state()
        let seen = network.seen {
            for bytes in forged { network.inject(bytes, from: eve, to: pair.bob.address) }
            network.settle()
        }
        #expect(seen == [])
        #expect(state() == before)
        network.inject(initiation, from: pair.alice.address, to: pair.bob.address)
        network.advance(by: .seconds(7))
        #expect(pair.isAlive())
    }

    @Test("a valid initiation from a stranger who knows our public key")
    func stranger() {
        let mallory = network.addHost("Mallory", at: eve)
        mallory.addPeer(
            pair.bob.publicKey, allowedIPs: ["0.0.0.0/0"], endpoint: pair.bob.address)
        mallory.send(InnerPacket.udp4(from: 9, to: 2))
        let seen = network.seen { network.settle() }
        #expect(seen == [])
        #expect(pair.bob.drops(.invalidHandshake, .unknownPeer).map(\.remote) == [eve])
    }

    @Test("data with any byte changed")
    func forgedData() {
        let count = network.eve.seen.count
        network.eve.meddle = { _ in .drop }
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        network.eve.meddle = { _ in .pass }
        let data = network.eve.seen[count].bytes
        expectSilence(
            data.indices.map { index in
                var bytes = data
                bytes[index] ^= 1
                return bytes
            })
        #expect(pair.bob.tunnel.drops(.forgedMessage) > 0)
        #expect(pair.bob.tunnel.drops(.unknownIndex) > 0)
        // The authentic message is still new: no forgery moved the window.
        pair.bob.received = []
        network.inject(data, from: pair.alice.address, to: pair.bob.address)
        network.settle()
        #expect(pair.bob.received.count == 1)
    }

    @Test("counters at the limits under a wrong tag")
    func forgedCounters() {
        let data = network.eve.seen(4)[0].bytes
        expectSilence(
            ([0, 1 << 32, 1 << 60, 1 << 63, .max - 1 << 13, .max - 1, .max] as [UInt64]).map {
                counter in
                var bytes = data
                for byte in 0..<8 {
                    bytes[8 + byte] = UInt8(truncatingIfNeeded: counter >> (8 * UInt64(byte)))
                }
                return bytes
            })
    }

    @Test("an interface that is down ignores everything")
    func down() {
        pair.bob.takeDown()
        let captures = network.eve.seen
        let seen = network.seen {
            for capture in captures { network.replay(capture) }
            pair.alice.takeDown()
            pair.alice.bringUp()
            pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
            network.settle()
        }
        #expect(seen.allSatisfy { $0.from == pair.alice.address })
        let replayed = captures.count { $0.to == pair.bob.address }
        #expect(pair.bob.tunnel.drops(.interfaceDown) == UInt64(replayed) + 1)
        pair.bob.bringUp()
        network.advance(by: .seconds(6))
        #expect(pair.isAlive())
    }

    @Test("a device without a private key answers nothing")
    func noIdentity() {
        pair.bob.configure("private_key=" + String(repeating: "0", count: 64))
        network.advance(by: .seconds(200))
        pair.bob.received = []
        let seen = network.seen {
            pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
            pair.bob.send(InnerPacket.udp4(from: 2, to: 1))
            network.advance(by: .seconds(12))
        }
        #expect(!seen.isEmpty && seen.allSatisfy { $0.from == pair.alice.address })
        pair.bob.configure("private_key=" + pair.bob.privateKey)
        network.advance(by: .seconds(6))
        #expect(pair.isAlive())
    }
}
