import Packets
import Testing
import WireGuardTestSupport

@testable import Engine
@testable import WireGuard

@Suite("Worker: from the TUN to the sockets")
struct WorkerOutboundTests {
    let bench = Bench()

    private func packets(_ count: Int) -> [[UInt8]] { (0..<count).map { Bench.packet($0) } }

    @Test("packets are sealed and sent to the peer", arguments: [false, true])
    func sends(hasVirtioNetHeader: Bool) {
        bench.script.hasVirtioNetHeader = hasVirtioNetHeader
        bench.script.deliver(packets(3))
        bench.run([.packets])
        #expect(bench.script.sent4.count == 1, "equal packets are segments of one message")
        #expect(bench.script.sent4.first?.transmit.remote == bench.pair.bob.address)
        #expect(bench.atBob(bench.script.sent4) == packets(3))
        #expect(bench.script.yields == 1, "the sender of datagrams gets a turn")
    }

    @Test("a turn ends after 64 reads and continues with the next event")
    func fullQueue() {
        bench.script.deliver(packets(70))
        bench.run([.packets])
        #expect(bench.script.reads.count == 6)
        #expect(bench.atBob(bench.script.sent4).count == 64)
    }

    @Test("datagrams for a family without socket are counted as refused")
    func missingFamily() {
        bench.script.deliver(packets(3))
        bench.run(sockets: FakeSockets(socket4: nil), [.packets])
        #expect(bench.script.sent4.isEmpty)
        #expect(bench.alice.drops(.refusedSend) == 3)
    }

    @Test("both families are sent to")
    func bothFamilies() {
        let remote = SocketAddress(address: .v6(IPv6Address(high: 1, low: 2)), port: 7)
        bench.alice.device.control.exclusively { tables in
            tables.peers[0].endpoint.withLock { $0?.remote = remote }
        }
        bench.script.deliver(packets(2))
        bench.run([.packets])
        #expect(bench.script.sent4.isEmpty)
        #expect(bench.script.sent6.map(\.transmit.remote) == [remote])
        #expect(bench.atBob(bench.script.sent6) == packets(2))
    }

    @Test("datagrams that the kernel refused are counted, in either family")
    func refused() {
        var outcome = SendOutcome()
        outcome.drop(2, 1)
        bench.script.outcomes4 = [outcome]
        bench.script.deliver(packets(3))
        bench.run([.packets])
        #expect(bench.alice.drops(.refusedSend) == 2)
    }

    @Test("after a refusal of segments datagrams are sent one by one", arguments: [false, true])
    func refusedSegments(isOfPath: Bool) {
        var outcome = SendOutcome()
        outcome.segmentationFailure = SegmentationFailure(
            index: 0, code: 90, isOfPath: isOfPath)
        bench.script.outcomes4 = [outcome, outcome]
        bench.script.deliver(packets(3))
        bench.script.reads.append(.wouldBlock)
        bench.script.deliver(packets(3))
        bench.run([.packets], [.packets])
        #expect(
            bench.script.sent4.map(\.transmit.bytes.segmentSize).map { $0 > 0 }
                == [true, false, false, false])
        #expect(bench.script.reportNames == ["segmentationRefused 90", "cannotWait"])
        let shared = bench.alice.device.shared
        var other = Sealer(shared: shared, gate: shared.makeGate(), jitterSeed: 2)
        #expect(
            transmitCount(&other) == (isOfPath ? 3 : 1),
            "a refusal by the device affects this worker, one by the path all")
    }

    private func transmitCount(_ sealer: inout Sealer) -> Int {
        var buffer = PacketBuffer(byteCount: Sealer.bufferByteCount)
        var bounceBuffer = PacketBuffer(byteCount: Sealer.bounceByteCount)
        var bytes = buffer.mutableBytes
        var bounces = bounceBuffer.mutableBytes
        for packet in packets(3) {
            // Bytes have no padding.
            let span = unsafe packet.span.bytes
            _ = sealer.load(span, header: VirtioNetHeader(), at: 0, length: packet.count)
            _ = sealer.cut(from: span, into: &bytes)
        }
        _ = sealer.seal(in: &bytes, bouncing: &bounces, now: bench.script.now)
        return sealer.transmitCount
    }

    @Test("a peer whose source was refused loses its source")
    func staleSource() {
        let local = SourceAddress(address: .v4(IPv4Address(bits: 5)), interfaceIndex: 1)
        bench.alice.device.control.exclusively { tables in
            tables.peers[0].endpoint.withLock { $0?.source = local }
        }
        var outcome = SendOutcome()
        outcome.staleSources = 1
        bench.script.outcomes4 = [outcome]
        bench.script.deliver(packets(1))
        bench.run([.packets])
        var source: SourceAddress? = local
        bench.alice.device.control.exclusively { tables in
            source = tables.peers[0].endpoint.withLock { $0?.source }
        }
        #expect(source == nil)
    }

    @Test(
        "segmented sends are not used if the sockets or the settings disable them",
        arguments: [0, 1])
    func noSegments(isOfSettings: Int) {
        bench.usesSegmentation = isOfSettings == 0
        bench.script.deliver(packets(3))
        bench.run(sockets: FakeSockets(hasSegmentation: isOfSettings == 1), [.packets])
        #expect(bench.script.sent4.count == 3)
    }

    @Test("a packet without a peer is answered with an ICMP error to the TUN")
    func bounce() {
        bench.script.deliver([InnerPacket.udp4(from: 1, to: 77)])
        bench.run([.packets])
        #expect(bench.script.sent4.isEmpty)
        #expect(bench.script.written.count == 1)
        #expect(bench.script.written.first?[9] == 1, "the protocol is ICMP")
    }

    @Test("an ICMP error that the TUN refuses is counted")
    func refusedBounce() {
        bench.script.writeResults = [.refused]
        bench.script.deliver([InnerPacket.udp4(from: 1, to: 77)])
        bench.run([.packets])
        #expect(bench.alice.drops(.refusedWrite) == 1)
    }

    @Test("a read without room for its virtio header is counted", arguments: [0, 4, 10])
    func shortRead(byteCount: Int) {
        bench.script.hasVirtioNetHeader = true
        bench.script.reads = [.bytes(byteCount)]
        bench.run([.packets])
        #expect(bench.alice.drops(.malformedPacket) == 1)
        #expect(bench.script.sent4.isEmpty)
    }

    @Test("a TUN that is gone ends the worker and wakes the control thread")
    func gone() {
        bench.script.reads = [.gone]
        bench.run([.packets], [.packets])
        #expect(bench.mailbox.hasEnded)
        #expect(bench.script.wakeUps == 1)
        #expect(bench.script.waits.count == 1)
        #expect(bench.script.reports.isEmpty)
    }

    @Test("a failing read is tried again: reported every ten seconds, with pauses from the 11th on")
    func failing() {
        bench.script.reads = Array(repeating: .failed(12), count: 14)
        bench.run(
            [.packets], [.packets], [.packets], [.packets], [.packets], [.packets], [.packets],
            [.packets], [.packets], [.packets], [.packets], [.packets])
        #expect(bench.script.reportNames == ["cannotRead 12", "cannotWait"])
        #expect(bench.script.pauses == [10_000_000, 10_000_000])
    }

    @Test("packets that arrive before the device is up wait for the control thread")
    func waitsForUp() {
        bench.alice.takeDown()
        bench.script.deliver(packets(1))
        bench.run([.packets], [.packets])
        #expect(bench.script.pauses == [1_000_000, 1_000_000])
        #expect(bench.script.wakeUps == 3, "one for each wait, one at the end")
        #expect(bench.script.reads.count == 1, "nothing was read")
    }

    @Test("without a session the packet is staged and the control thread woken")
    func staged() {
        let bench = Bench(hasSession: false)
        bench.script.deliver(packets(1))
        bench.run([.packets])
        #expect(bench.script.sent4.isEmpty)
        #expect(bench.script.wakeUps == 2)
    }

    @Test("junk from the TUN is dropped")
    func junk() {
        bench.script.reads = [.bytes(4)]
        bench.script.packets = [[]]
        bench.script.deliver([[1, 2, 3]])
        bench.run([.packets])
        #expect(bench.script.sent4.isEmpty)
        #expect(bench.alice.drops(.malformedPacket) == 2)
    }

    @Test("a busy loop of empty wake-ups is slowed down")
    func spinning() {
        bench.script.tick = 1000
        bench.script.waits = []
        var waits: [[WorkerEvent]] = []
        for _ in 0..<100 { waits.append([.packets]) }
        bench.script.reads = []
        bench.runAll(waits)
        #expect(bench.script.pauses == [1_000_000])
    }
}

extension Bench {
    /// Runs a worker until it has handled these events.
    func runAll(_ waits: [[WorkerEvent]]) {
        run(sockets: FakeSockets(), waits.flatMap { $0 })
    }
}
