import Testing
import WireGuardTestSupport

@testable import WireGuard

@Suite("Clock steps and system sleep")
struct ClockTests {
    let network = Network()

    static let steps: [Int64] = [
        1, -1, 10, -10, 3_600, -3_600, 86_400, -86_400, 31_536_000, -31_536_000,
    ]

    @Test(
        "the tunnel continues after steps of the monotonic clock in either direction",
        arguments: steps
    )
    func steadyClock(seconds: Int64) {
        let pair = network.makePair()
        pair.connect()
        for _ in 0..<3 {
            for sign in [1, -1, -1, 1] as [Int64] {
                pair.alice.clockOffset += sign * seconds * 1_000_000_000
                pair.alice.handleTimeout()
                pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
                network.advance(by: .seconds(7))
            }
        }
        #expect(pair.isAlive())
        #expect(pair.bob.received.count == 1)
    }

    @Test("setting the clock back does not extend the life of a key beyond 180 s")
    func noLongerLife() {
        let pair = network.makePair()
        pair.connect()
        for _ in 0..<19 {
            network.advance(by: .seconds(10))
            // The tunnel has seen the later time.
            pair.alice.handleTimeout()
            pair.alice.clockOffset -= 9_000_000_000
            pair.alice.handleTimeout()
        }
        network.eve.forget()
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        #expect(network.eve.seen.first?.type == 1)
    }

    @Test("a clock at zero or at its maximum works", arguments: [-Int64.max, Int64.max])
    func extremes(offset: Int64) {
        let pair = network.makePair()
        pair.alice.clockOffset = offset
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        network.settle()
        #expect(pair.bob.received.count == 1)
    }

    @Test("after eight hours of sleep, the first packet creates a new session immediately")
    func sleep() {
        let pair = network.makePair()
        pair.connect()
        pair.alice.clockOffset += 8 * 3_600 * 1_000_000_000
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        network.settle()
        #expect(pair.bob.received.count == 1)
        #expect(network.eve.seen(1).count == 2)
    }

    @Test("handshakes are accepted after the wall clock steps", arguments: steps)
    func wallClock(seconds: Int64) {
        let pair = network.makePair()
        pair.connect()
        for (round, step) in [seconds, -seconds, -seconds].enumerated() {
            pair.alice.wallOffset += step
            network.advance(by: .seconds(130))
            #expect(pair.isAlive())
            #expect(pair.bob.drops(.invalidHandshake) == [])
            #expect(network.eve.seen(2).count == round + 2)
        }
    }

    @Test(
        "handshakes are accepted after a peer is removed, the clock set back, and the peer added again"
    )
    func wallClockAndNewPeer() {
        let pair = network.makePair()
        pair.connect()
        pair.alice.wallOffset -= 1_000
        pair.alice.configure("replace_peers=true")
        pair.alice.addPeer(
            pair.bob.publicKey, allowedIPs: ["10.0.0.2/32"], endpoint: pair.bob.address)
        network.advance(by: .seconds(1))
        #expect(pair.isAlive())
    }

    @Test("initiations to many peers at one moment have the timestamp of that moment")
    func manyPeersAtOnce() {
        let host = network.addHost("Hub", at: Pair.address(192, 0, 2, 1, port: 1))
        let template = "endpoint=198.51.100.2:51821\npersistent_keepalive_interval=25\n"
        let peers = (1...200).map { PrivateKey(seed: $0).publicKey }
        host.configure(
            peers.map { "public_key=\($0.hexadecimal)\n" + template }.joined())
        #expect(network.eve.seen(1).count == 200)
        let device = host.tunnel.device
        let stamps = Set(device.peersByKey.values.map(\.timestamps.last))
        #expect(stamps == [TAI64N(host.now.wall)])
    }

    @Test("the latest handshake is the wall time of its completion, and nil before")
    func latestHandshake() {
        let pair = network.makePair()
        #expect(pair.alice.snapshot(of: pair.bob)?.lastHandshake == nil)
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        network.advance(by: .milliseconds(15))
        #expect(pair.bob.snapshot(of: pair.alice)?.lastHandshake == nil)
        network.advance(by: .milliseconds(5))
        #expect(pair.alice.snapshot(of: pair.bob)?.lastHandshake == pair.alice.now.wall)
        network.advance(by: .milliseconds(10))
        #expect(pair.bob.snapshot(of: pair.alice)?.lastHandshake == pair.bob.now.wall)
    }
}
