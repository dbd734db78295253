import Foundation
import Packets
import Synchronization
import Testing
import WireGuardCrypto
import WireGuardTestSupport

@testable import WireGuard

/// One control thread, two sealers and two openers on one device, as in the daemon; a second tunnel is the
/// peer. The thread sanitizer does not help: it does not see the locks of Synchronization.
@Suite("The control thread changes all state under traffic", .serialized)
struct ConcurrencyTests {
    /// A queue of datagrams between threads.
    final class Wire: Sendable {
        private let datagrams = Mutex<[[UInt8]]>([])

        func send(_ bytes: [UInt8]) {
            datagrams.withLock { if $0.count < 256 { $0.append(bytes) } }
        }

        func takeAll() -> [[UInt8]] {
            datagrams.withLock { datagrams in
                defer { datagrams = [] }
                return datagrams
            }
        }
    }

    /// The time of all threads, advanced by the control thread.
    final class Time: Sendable {
        private let nanoseconds = Atomic<UInt64>(1_000_000_000)

        func advance() {
            nanoseconds.wrappingAdd(7_000_000, ordering: .relaxed)
        }

        var now: Moment {
            let time = nanoseconds.load(ordering: .relaxed)
            return Moment(
                instant: ObservedInstant(nanoseconds: time),
                wall: WallTime(
                    seconds: 1_700_000_000 + Int64(time / 1_000_000_000),
                    nanoseconds: UInt32(time % 1_000_000_000)))
        }
    }

    static let alice = Pair.address(192, 0, 2, 1, port: 1)
    static let bob = Pair.address(192, 0, 2, 2, port: 2)

    @Test("nothing traps, state is consistent, and packets arrive")
    func stress() {
        let device = Device(random: SeededRandom(seed: 1))
        let shared = Shared(shared: device.shared)
        let gates = (0..<4).map { _ in device.shared.makeGate() }
        let threads = DispatchGroup()
        for (index, gate) in gates.enumerated() {
            threads.enter()
            Thread.detachNewThread {
                if index < 2 {
                    self.runOutbound(shared, gate)
                } else {
                    self.runInbound(shared, gate)
                }
                threads.leave()
            }
        }
        runControl(device, shared)
        shared.isOver.store(true, ordering: .relaxed)
        threads.wait()
        #expect(shared.opened.load(ordering: .relaxed) >= Self.enough)
        device.bringDown()
        #expect(device.tables.keypairs.count == 0)
        #expect(device.tables.indices.count == 0)
        #expect(device.shared.stagedBytes == 0)
    }

    /// The test ends after this many packets have arrived.
    static let enough = 200

    /// What the threads share.
    final class Shared: Sendable {
        let shared: SharedState
        let time = Time()
        let toBob = Wire()
        let toAlice = Wire()
        let isOver = Atomic<Bool>(false)
        let opened = Atomic<Int>(0)

        init(shared: SharedState) {
            self.shared = shared
        }
    }

    private func runControl(_ device: Device, _ shared: Shared) {
        let time = shared.time
        let tunnel = Tunnel(random: SeededRandom(seed: 2))
        let key = PrivateKey(seed: 1)
        let peerKey = PrivateKey(seed: 2)
        let peer = peerKey.publicKey
        configure(device, time) { $0.privateKey = .set(key.copy()) }
        var change = ConfigurationChange()
        change.privateKey = .set(peerKey.copy())
        change.addPeer(key.publicKey)
        change.addAllowedIP(IPPrefix("10.0.0.1/32"), .add)
        #expect(throws: Never.self) { try tunnel.configure(change, now: time.now) }
        tunnel.bringUp(now: time.now)
        device.bringUp(at: time.now)
        var round = 0
        while round < scaled(release: 20_000, debug: 2_000)
            || shared.opened.load(ordering: .relaxed) < Self.enough && round < 5_000_000
        {
            round += 1
            time.advance()
            switch round % 100 {
            case 1:
                configure(device, time) { change in
                    change.addPeer(peer)
                    change.withLastPeer { $0.endpoint = Self.bob }
                    change.addAllowedIP(IPPrefix("10.0.0.2/32"), .add)
                }
            case 40:
                configure(device, time) { change in
                    change.addPeer(peer)
                    change.replaceAllowedIPs()
                    change.addAllowedIP(IPPrefix("10.0.0.2/32"), .add)
                    change.withLastPeer { $0.persistentKeepalive = UInt16(round % 7) }
                    change.addPeer(PrivateKey(seed: UInt64(round)).publicKey)
                    change.addAllowedIP(IPPrefix("10.0.0.3/32"), .add)
                }
            case 60: device.setMTU(1_280 + round % 200)
            case 65: device.recheckSources()
            case 70: device.forgetSources()
            case 75 where round % 200 == 75: device.wipeSessions()
            case 80 where round % 300 == 80:
                device.bringDown()
                device.bringUp(at: time.now)
            case 90 where round % 400 == 90:
                configure(device, time) { $0.replacesPeers = true }
            default: break
            }
            while device.handleWork(at: time.now) {}
            for datagram in device.takeDatagrams() { shared.toBob.send(datagram.bytes) }
            exchange(tunnel, shared)
        }
    }

    private func configure(
        _ device: Device, _ time: Time, _ body: (inout ConfigurationChange) -> Void
    ) {
        var change = ConfigurationChange()
        body(&change)
        device.apply(change, at: time.now)
    }

    private func exchange(_ tunnel: Tunnel, _ shared: Shared) {
        let time = shared.time
        for bytes in shared.toBob.takeAll() {
            tunnel.handleDatagram(bytes, from: Self.alice, now: time.now)
        }
        tunnel.handleTimeout(now: time.now)
        while tunnel.nextPacket() != nil {
            tunnel.handlePacket(InnerPacket.udp4(from: 2, to: 1), now: time.now)
        }
        while let datagram = tunnel.nextDatagram() { shared.toAlice.send(datagram.bytes) }
    }

    private func runOutbound(_ shared: Shared, _ gate: SharedState.Gate) {
        var sealer = Sealer(shared: shared.shared, gate: gate, jitterSeed: 3)
        var buffer = PacketBuffer(byteCount: Sealer.bufferByteCount)
        var bounceBuffer = PacketBuffer(byteCount: Sealer.bounceByteCount)
        let packets = (1...3).map { InnerPacket.udp4(from: 1, to: UInt8($0), byteCount: 200) }
        while !shared.isOver.load(ordering: .relaxed) {
            for index in 0..<8 {
                sealer.takeOne(packets[index % 3 == 0 ? 2 : 1], into: &buffer)
            }
            sealer.sealAll(in: &buffer, bouncing: &bounceBuffer, now: shared.time.now.instant)
            for index in 0..<sealer.transmitCount {
                let transmit = sealer.transmits[index]
                let size =
                    transmit.bytes.segmentSize == 0
                    ? transmit.bytes.length : transmit.bytes.segmentSize
                for start in stride(from: 0, to: transmit.bytes.length, by: size) {
                    let end = min(start + size, transmit.bytes.length)
                    shared.toBob.send(
                        (start..<end).map { buffer.bytes.byte(at: transmit.bytes.offset + $0) })
                }
            }
            sealer.removeAll()
        }
    }

    private func runInbound(_ shared: Shared, _ gate: SharedState.Gate) {
        var lanes = SinglePacketPath(shared: shared.shared, gate: gate, jitterSeed: 4)
        var packets = Outputs<[UInt8]>()
        var message = UDPArrival<SegmentRange>.empty
        message.remote = Self.bob
        while !shared.isOver.load(ordering: .relaxed) {
            for bytes in shared.toAlice.takeAll() {
                withBytes(bytes) {
                    _ = lanes.open($0, message, to: &packets, now: shared.time.now.instant)
                    // A replay.
                    _ = lanes.open($0, message, to: &packets, now: shared.time.now.instant)
                }
            }
            while packets.next() != nil {
                shared.opened.add(1, ordering: .relaxed)
            }
        }
    }
}

extension Sealer {
    fileprivate mutating func takeOne(_ packet: [UInt8], into buffer: inout PacketBuffer) {
        // Bytes have no padding.
        let packet = unsafe packet.span.bytes
        guard load(packet, header: VirtioNetHeader(), at: 0, length: packet.byteCount) else {
            return
        }
        var bytes = buffer.mutableBytes
        _ = cut(from: packet, into: &bytes)
    }

    fileprivate mutating func sealAll(
        in buffer: inout PacketBuffer, bouncing bounceBuffer: inout PacketBuffer,
        now: ObservedInstant
    ) {
        var bytes = buffer.mutableBytes
        var bounceBytes = bounceBuffer.mutableBytes
        _ = seal(in: &bytes, bouncing: &bounceBytes, now: now)
    }
}
