import Packets
import Testing
import WireGuardTestSupport

@testable import WireGuard

@Suite("Packets wait for a session, 128 of them")
struct StagingTests {
    let network = Network()

    @Test(
        "the oldest make room, and the order stays", arguments: [1, 2, 127, 128, 129, 200, 1_000])
    func order(count: Int) {
        let pair = network.makePair()
        pair.stream(0..<count, every: Interval(nanoseconds: 0))
        network.settle()
        #expect(pair.bob.receivedNumbers == Array(max(0, count - 128)..<count))
        #expect(pair.alice.tunnel.drops(.stagedOverflow) == UInt64(max(0, count - 128)))
        #expect(pair.alice.tunnel.device.shared.stagedBytes.load(ordering: .relaxed) == 0)
        #expect(network.eve.seen.count == 2 + min(count, 128))
    }

    @Test("packets of all sizes come out as they went in")
    func sizes() {
        let pair = network.makePair()
        let packets = (28...1_500).filter { $0 % 13 == 0 }.map {
            InnerPacket.udp4(from: 1, to: 2, byteCount: $0)
        }
        for packet in packets.prefix(120) { pair.alice.send(packet) }
        network.settle()
        #expect(pair.bob.received == Array(packets.prefix(120)))
    }

    @Test("all peers together stage a bounded number of bytes")
    func bounded() {
        let host = network.addHost("Alice", at: Pair.address(192, 0, 2, 1, port: 1))
        network.eve.meddle = { _ in .drop }
        for index in 1...60 {
            host.addPeer(
                PrivateKey(seed: UInt64(index)).publicKey,
                allowedIPs: ["10.0.0.\(index)/32"],
                endpoint: Pair.address(198, 51, 100, UInt8(index), port: 7))
        }
        for index in 1...60 {
            for _ in 0..<128 {
                host.send(InnerPacket.udp4(from: 0, to: UInt8(index), byteCount: 1_400))
            }
        }
        let staged = host.tunnel.device.shared.stagedBytes.load(ordering: .relaxed)
        #expect(staged <= Constants.maximumStagedBytes && staged > Constants.maximumStagedBytes / 2)
        // Removing peers and giving up give the bytes back.
        host.configure("public_key=\(PrivateKey(seed: 1).publicKey.hexadecimal)\nremove=true")
        network.advance(by: .seconds(110))
        #expect(host.tunnel.device.shared.stagedBytes.load(ordering: .relaxed) == 0)
        host.configure("replace_peers=true")
        #expect(host.tunnel.device.tables.peers.count == 0)
        #expect(host.nextTimeout == nil)
    }

    @Test("what waits goes with the interface")
    func purgedByDown() {
        let pair = network.makePair()
        network.eve.meddle = { _ in .drop }
        pair.stream(0..<10, every: .milliseconds(1))
        pair.alice.takeDown()
        #expect(pair.alice.tunnel.device.shared.stagedBytes.load(ordering: .relaxed) == 0)
        network.eve.meddle = { _ in .pass }
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        #expect(pair.alice.tunnel.drops(.interfaceDown) == 11)
        pair.alice.bringUp()
        network.advance(by: .seconds(30))
        #expect(pair.bob.received == [])
        #expect(pair.isAlive())
    }

    @Test("a batch that was loaded before the interface went down is not kept")
    func loadedBeforeDown() {
        let pair = network.makePair()
        let device = pair.alice.tunnel.device
        let gate = device.shared.makeGate()
        var sealer = Sealer(shared: device.shared, gate: gate, jitterSeed: 1)
        let packet = InnerPacket.udp4(from: 1, to: 2)
        var buffer = [UInt8](repeating: 0, count: 4_096)
        var bounces = [UInt8](repeating: 0, count: Sealer.bounceByteCount)
        let isLoaded = withBytes(packet) {
            sealer.load($0, header: VirtioNetHeader(), at: 0, length: $0.byteCount)
        }
        #expect(isLoaded)
        var span = buffer.mutableSpan
        // Bytes have no padding.
        var bytes = unsafe span.mutableBytes
        let isCut = unsafe sealer.cut(from: packet.span.bytes, into: &bytes)
        #expect(isCut)
        pair.alice.takeDown()
        var bounceSpan = bounces.mutableSpan
        // Bytes have no padding.
        var bounceBytes = unsafe bounceSpan.mutableBytes
        let wake = sealer.seal(
            in: &bytes, bouncing: &bounceBytes, now: pair.alice.now.instant)
        #expect((wake == .needed) == pair.alice.tunnel.isTracing, "only to record the drop")
        #expect(device.shared.stagedBytes.load(ordering: .relaxed) == 0)
    }
}
