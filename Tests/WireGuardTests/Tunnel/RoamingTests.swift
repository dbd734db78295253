import Testing
import WireGuardTestSupport

@testable import WireGuard

@Suite("The endpoint follows authentic messages only")
struct RoamingTests {
    let network = Network()
    let pair: Pair
    let elsewhere = Pair.address(203, 0, 113, 5, port: 1234)

    init() {
        pair = network.makePair(.mutualEndpoints)
        pair.connect()
        network.advance(by: .seconds(1))
    }

    @Test("data")
    func data() {
        pair.alice.move(to: elsewhere)
        #expect(pair.isAlive())
        #expect(pair.bob.snapshot(of: pair.alice)?.endpoint == elsewhere)
    }

    @Test("a keepalive")
    func keepalive() {
        pair.bob.send(InnerPacket.udp4(from: 2, to: 1))
        network.settle()
        pair.alice.move(to: elsewhere)
        network.advance(by: .seconds(11))
        #expect(network.eve.seen.last?.isKeepalive == true)
        #expect(pair.bob.snapshot(of: pair.alice)?.endpoint == elsewhere)
    }

    @Test("an initiation and a response")
    func handshake() {
        network.advance(by: .seconds(200))
        pair.alice.move(to: elsewhere)
        let there = Pair.address(203, 0, 113, 6, port: 1235)
        network.eve.meddle = {
            if $0.type == 2 { $0.from = there }
            return $0.type == 4 ? .drop : .pass
        }
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        network.settle()
        #expect(pair.bob.snapshot(of: pair.alice)?.endpoint == elsewhere)
        #expect(pair.alice.snapshot(of: pair.bob)?.endpoint == there)
    }

    @Test("no forged, replayed or malformed message")
    func unauthentic() {
        let captures = network.eve.seen
        for capture in captures {
            var changed = capture.bytes
            changed[changed.count - 1] ^= 1
            for target in [pair.alice.address, pair.bob.address] {
                network.inject(capture.bytes, from: elsewhere, to: target)
                network.inject(changed, from: elsewhere, to: target)
            }
        }
        network.settle()
        #expect(pair.bob.snapshot(of: pair.alice)?.endpoint == pair.alice.address)
        #expect(pair.alice.snapshot(of: pair.bob)?.endpoint == pair.bob.address)
    }

    @Test("no cookie reply, although it is authentic")
    func cookieReply() {
        network.advance(by: .seconds(200))
        pair.bob.overload()
        network.eve.meddle = {
            if $0.type == 3 { $0.from = Pair.address(203, 0, 113, 7, port: 7) }
            return .pass
        }
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        network.settle()
        pair.bob.handleTimeout()
        network.settle()
        #expect(pair.alice.cookies(of: pair.bob) == 1)
        #expect(pair.alice.snapshot(of: pair.bob)?.endpoint == pair.bob.address)
    }

    @Test("both hosts, one after the other")
    func both() {
        pair.alice.move(to: elsewhere)
        #expect(pair.isAlive())
        pair.bob.move(to: Pair.address(203, 0, 113, 8, port: 8))
        pair.bob.send(InnerPacket.udp4(from: 2, to: 1))
        network.settle()
        #expect(pair.isAlive())
    }

    @Test(
        "answers are sent from the address that received the packet, until that fails or is cleared"
    )
    func source() {
        let host = pair.bob.tunnel
        func answer() -> Tunnel.Datagram? {
            host.handlePacket(InnerPacket.udp4(from: 2, to: 1), now: pair.bob.now)
            return host.nextDatagram()
        }
        #expect(
            answer()?.source == SourceAddress(address: pair.bob.address.address, interfaceIndex: 1))
        host.forgetSources()
        #expect(answer()?.source == nil)
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        network.settle()
        #expect(answer()?.source != nil)
        pair.bob.configure("fwmark=7")
        #expect(answer()?.source == nil)
    }

    @Test("an initiation after unanswered data uses any source")
    func sourceOfNewHandshake() {
        let (data, initiation) = packetAndTimeout(after: .seconds(16))
        #expect(data?.bytes.first == 4 && data?.source != nil)
        #expect(initiation?.bytes.first == 1 && initiation?.source == nil)
    }

    @Test("a retried initiation uses any source")
    func sourceOfRetry() {
        pair.bob.clockOffset += 200 * 1_000_000_000
        let (initiation, again) = packetAndTimeout(after: .seconds(6))
        #expect(initiation?.bytes.first == 1 && initiation?.source != nil)
        #expect(again?.bytes.first == 1 && again?.source == nil)
    }

    /// The datagram that Bob sends for a packet, and the one that follows without an answer.
    private func packetAndTimeout(after interval: Interval) -> (Tunnel.Datagram?, Tunnel.Datagram?)
    {
        let host = pair.bob.tunnel
        host.handlePacket(InnerPacket.udp4(from: 2, to: 1), now: pair.bob.now)
        let first = host.nextDatagram()
        pair.bob.clockOffset += Int64(interval.nanoseconds)
        host.handleTimeout(now: pair.bob.now)
        return (first, host.nextDatagram())
    }
}
