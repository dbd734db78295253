import Packets
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

    @Test("an event of routes keeps the source, and asks about it once when the peer is sent to")
    func checkedSource() {
        let device = pair.bob.tunnel.device
        func send() -> Tunnel.Datagram? {
            pair.bob.tunnel.handlePacket(InnerPacket.udp4(from: 2, to: 1), now: pair.bob.now)
            return pair.bob.tunnel.nextDatagram()
        }
        let source = SourceAddress(address: pair.bob.address.address, interfaceIndex: 1)
        device.recheckSources()
        #expect(send()?.source == source)
        var questions: [SourceAddress] = []
        pair.bob.tunnel.checkSources { remote, source in
            #expect(remote == pair.alice.address)
            questions.append(source)
            return false
        }
        #expect(questions == [source])
        #expect(send()?.source == nil)
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        network.settle()
        #expect(send()?.source == nil, "the same link teaches nothing new")
        pair.bob.tunnel.checkSources { _, _ in true }
        #expect(send()?.source == source, "the route agrees again")
    }

    @Test("an answer about an endpoint that has moved since is ignored")
    func lateAnswer() throws {
        let device = pair.bob.tunnel.device
        device.recheckSources()
        let peer = try #require(device.orderedPeers().first)
        let check = try #require(device.sourceCheck(of: peer))
        pair.alice.move(to: elsewhere)
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        network.settle()
        device.finish(check, SourceVerdict(isUsable: false))
        pair.bob.tunnel.handlePacket(InnerPacket.udp4(from: 2, to: 1), now: pair.bob.now)
        #expect(pair.bob.tunnel.nextDatagram()?.source != nil)
    }

    @Test("a response that waits to be sent loses a source that the route does not allow")
    func checkedResponse() throws {
        network.advance(by: .seconds(200))
        pair.bob.tunnel.device.recheckSources()
        var responses: [UDPTransmit<[UInt8]>] = []
        pair.alice.tunnel.handlePacket(InnerPacket.udp4(from: 1, to: 2), now: pair.alice.now)
        let initiation = try #require(pair.alice.tunnel.nextDatagram())
        let device = pair.bob.tunnel.device
        var opener = Opener(shared: device.shared, gate: device.shared.makeGate())
        var coalescer = FlowCoalescer(maximumPackets: 4, coalescing: [])
        var bytes = initiation.bytes
        let arrival = UDPArrival(
            bytes: SegmentRange(length: bytes.count), remote: pair.alice.address,
            source: SourceAddress(address: pair.bob.address.address, interfaceIndex: 9))
        bytes.edit {
            _ = opener.open(
                FixedArray(repeating: arrival, count: 1), count: 1, in: &$0, into: &coalescer,
                now: pair.bob.now.instant)
        }
        while device.handleWork(at: pair.bob.now) {}
        let checks = device.takeSourceChecks()
        #expect(checks.map(\.source) == [arrival.source])
        for check in checks { device.finish(check, SourceVerdict(isUsable: false)) }
        responses = device.takeDatagrams()
        #expect(responses.map(\.bytes.first) == [2])
        #expect(responses.allSatisfy { $0.source == nil })
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
