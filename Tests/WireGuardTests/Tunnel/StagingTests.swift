import Packets
import Testing
import WireGuardTestSupport

@testable import WireGuard

@Suite("Up to 128 packets wait for a session")
struct StagingTests {
    let network = Network()

    @Test(
        "the oldest are dropped, and the order is kept",
        arguments: [1, 2, 127, 128, 129, 200, 1_000])
    func order(count: Int) {
        let pair = network.makePair()
        pair.stream(0..<count, every: Interval(nanoseconds: 0))
        network.settle()
        #expect(pair.bob.receivedNumbers == Array(max(0, count - 128)..<count))
        #expect(pair.alice.tunnel.drops(.stagedOverflow) == UInt64(max(0, count - 128)))
        #expect(pair.alice.tunnel.device.shared.stagedBytes == 0)
        #expect(network.eve.seen.count == 2 + min(count, 128))
    }

    @Test("packets of all sizes arrive unchanged")
    func sizes() {
        let pair = network.makePair()
        let packets = (28...1_500).filter { $0 % 13 == 0 }.map {
            InnerPacket.udp4(from: 1, to: 2, byteCount: $0)
        }
        for packet in packets.prefix(120) { pair.alice.send(packet) }
        network.settle()
        #expect(pair.bob.received == Array(packets.prefix(120)))
    }

    @Test("the staged bytes of all peers are bounded")
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
        let staged = host.tunnel.device.shared.stagedBytes
        #expect(staged <= Constants.maximumStagedBytes && staged > Constants.maximumStagedBytes / 2)
        // Removed peers and handshakes given up release the bytes.
        host.configure("public_key=\(PrivateKey(seed: 1).publicKey.hexadecimal)\nremove=true")
        network.advance(by: .seconds(110))
        #expect(host.tunnel.device.shared.stagedBytes == 0)
        host.configure("replace_peers=true")
        #expect(host.tunnel.device.tables.peers.count == 0)
        #expect(host.nextTimeout == nil)
    }

    @Test(
        "60 silent peers do not take the room of a packet to another peer",
        arguments: [1_420, 9_000, 60_000])
    func share(byteCount: Int) {
        let pair = network.makePair()
        let alice = pair.alice
        for index in 3...62 as ClosedRange<UInt8> {
            alice.addPeer(
                PrivateKey(seed: UInt64(index)).publicKey, allowedIPs: ["10.0.0.\(index)/32"],
                endpoint: Pair.address(203, 0, 113, index, port: 7))
            for _ in 0..<128 {
                alice.send(InnerPacket.udp4(from: 1, to: index, byteCount: byteCount))
            }
        }
        alice.send(InnerPacket.udp4(from: 1, to: 2, byteCount: byteCount))
        #expect(alice.tunnel.device.shared.stagedBytes <= Constants.maximumStagedBytes)
        network.settle()
        #expect(pair.bob.received.map(\.count) == [byteCount])
    }

    @Test("only the peer that holds most loses packets, and 5000 peers stay within the limit")
    func largestHolder() {
        let host = network.addHost("Alice", at: Pair.address(192, 0, 2, 1, port: 1))
        let device = host.tunnel.device
        network.eve.meddle = { _ in .drop }
        for index in 1...100 as ClosedRange<UInt8> {
            host.addPeer(
                PrivateKey(seed: UInt64(index)).publicKey, allowedIPs: ["10.0.0.\(index)/32"],
                endpoint: Pair.address(198, 51, 100, index, port: 7))
            if index > 1 { host.send(InnerPacket.udp4(from: 0, to: index, byteCount: 1_420)) }
        }
        for _ in 0..<128 { host.send(InnerPacket.udp4(from: 0, to: 1, byteCount: 60_000)) }
        for slot in 1..<100 as Range<UInt32> {
            #expect(device.tables.peers[slot].staged.withLock { $0.packets.count } == 1)
        }
        #expect(device.shared.stagedBytes <= Constants.maximumStagedBytes)
        #expect(host.tunnel.drops(.stagedOverflow) > 0)
        // What is put back counts too.
        let taken = device.shared.takeStaged(of: PeerSlot(rawValue: 0), in: device.tables)
        device.shared.restoreStaged(taken + taken, for: PeerSlot(rawValue: 0), in: device.tables)
        #expect(device.shared.stagedBytes <= Constants.maximumStagedBytes)
        host.configure("replace_peers=true")
        #expect(device.shared.stagedBytes == 0)

        var shares = StagedShares()
        for slot in 0..<5_000 as Range<UInt32> {
            shares.set(PeerSlot(rawValue: slot), byteCount: 1_420)
            while let largest = shares.overdrawn {
                #expect(largest.rawValue != slot, "a newcomer does not lose its only packet")
                shares.set(largest, byteCount: 0)
            }
        }
        #expect(shares.byteCount <= Constants.maximumStagedBytes)
    }

    @Test("packets that do not fit when they are put back are dropped and counted")
    func restored() {
        let pair = network.makePair()
        network.eve.meddle = { _ in .drop }
        let device = pair.alice.tunnel.device
        guard let slot = device.peersByKey[pair.bob.publicKey]?.slot else {
            Issue.record("Bob is not a peer")
            return
        }
        pair.stream(0..<100, every: Interval(nanoseconds: 0))
        let taken = device.shared.takeStaged(of: slot, in: device.tables)
        #expect(taken.count == 100)
        pair.stream(100..<150, every: Interval(nanoseconds: 0))
        // The oldest 22 of the 150 do not fit. A keepalive among them is not a packet.
        let keepalive = StagedPacket(copying: RawSpan())
        device.shared.restoreStaged([keepalive] + taken, for: slot, in: device.tables)
        #expect(pair.alice.tunnel.drops(.stagedOverflow) == 22)
        let kept = device.shared.takeStaged(of: slot, in: device.tables)
        #expect(kept.count == 128)
        #expect(kept.first === taken[22])
        #expect(device.shared.stagedBytes == 0)
    }

    @Test("taking the interface down drops staged packets")
    func purgedByDown() {
        let pair = network.makePair()
        network.eve.meddle = { _ in .drop }
        pair.stream(0..<10, every: .milliseconds(1))
        pair.alice.takeDown()
        #expect(pair.alice.tunnel.device.shared.stagedBytes == 0)
        network.eve.meddle = { _ in .pass }
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        #expect(pair.alice.tunnel.drops(.interfaceDown) == 11)
        pair.alice.bringUp()
        network.advance(by: .seconds(30))
        #expect(pair.bob.received == [])
        #expect(pair.isAlive())
    }

    @Test("a batch loaded before the interface went down is not staged")
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
        #expect(device.shared.stagedBytes == 0)
    }
}
