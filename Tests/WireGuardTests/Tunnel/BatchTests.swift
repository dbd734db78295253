import Packets
import Testing
import WireGuardTestSupport

@testable import WireGuard

/// `Sealer` and `Opener` with batches, as a worker uses them, between two hosts with a session.
@Suite("Batches, sealed and opened")
struct BatchTests {
    let network = Network()
    let pair: Pair

    init() {
        pair = network.makePair()
        pair.connect()
    }

    /// The outputs for a batch of packets from Alice.
    struct Sealed {
        var transmits: [UDPTransmit<SegmentRange>] = []
        var bytes: [UInt8] = []
        var bounces = 0
    }

    func seal(_ packets: [[UInt8]], segmented: Bool = true) -> Sealed {
        var sealer = makeSealer()
        sealer.usesSegmentation = segmented
        return seal(packets, by: &sealer)
    }

    func makeSealer() -> Sealer {
        let shared = pair.alice.tunnel.device.shared
        return Sealer(shared: shared, gate: shared.makeGate(), jitterSeed: 1)
    }

    func seal(_ packets: [[UInt8]], by sealer: inout Sealer) -> Sealed {
        var sealed = Sealed()
        sealed.bytes = written(Sealer.bufferByteCount) { bytes in
            for packet in packets {
                withBytes(packet) {
                    let isLoaded = sealer.load(
                        $0, header: VirtioNetHeader(), at: 0, length: $0.byteCount)
                    let isCut = sealer.cut(from: $0, into: &bytes)
                    #expect(isLoaded && isCut)
                }
            }
            _ = written(Sealer.bounceByteCount) { bounces in
                _ = sealer.seal(
                    in: &bytes, bouncing: &bounces, now: pair.alice.now.instant)
            }
        }
        sealed.transmits = (0..<sealer.transmitCount).map { sealer.transmits[$0] }
        sealed.bounces = sealer.bounceCount
        sealer.removeAll()
        return sealed
    }

    /// The packets that Bob opens from a buffer of datagrams.
    func open(
        _ bytes: [UInt8], _ messages: [UDPArrival<SegmentRange>], room: Int = 256
    ) -> [[UInt8]] {
        let shared = pair.bob.tunnel.device.shared
        var opener = Opener(shared: shared, gate: shared.makeGate())
        var coalescer = FlowCoalescer(maximumPackets: room, coalescing: [])
        var buffer = bytes
        var batch = FixedArray(
            repeating: UDPArrival<SegmentRange>.empty, count: max(messages.count, 1))
        for (index, message) in messages.enumerated() { batch[index] = message }
        buffer.edit { bytes in
            _ = opener.open(
                batch, count: messages.count, in: &bytes, into: &coalescer,
                now: pair.bob.now.instant)
            coalescer.finish(in: &bytes)
        }
        return (0..<coalescer.packetCount).map { index in
            let piece = coalescer.piece(at: index)
            return Array(buffer[(piece.offset + 10)..<(piece.offset + piece.length)])
        }
    }

    func message(_ transmit: UDPTransmit<SegmentRange>) -> UDPArrival<SegmentRange> {
        UDPArrival(
            bytes: transmit.bytes, remote: pair.alice.address,
            trafficClass: transmit.trafficClass)
    }

    let equal = (1...5).map {
        InnerPacket.udp4(from: 1, to: 2, byteCount: 500, identification: $0)
    }

    @Test("packets of one length become one segmented send, and are opened one by one")
    func run() {
        let sealed = seal(equal + [InnerPacket.udp4(from: 1, to: 2, byteCount: 100)])
        #expect(sealed.transmits.count == 1)
        #expect(sealed.transmits[0].bytes.segmentSize == 512 + 32)
        #expect(sealed.transmits[0].bytes.length == 5 * 544 + 112 + 32)
        #expect(sealed.transmits[0].remote == pair.bob.address)
        let opened = open(sealed.bytes, sealed.transmits.map(message))
        #expect(opened.prefix(5) == equal[...])
        #expect(opened.count == 6)
    }

    @Test("without segmentation, each packet is a send of its own")
    func unsegmented() {
        let sealed = seal(equal, segmented: false)
        #expect(sealed.transmits.count == 5)
        #expect(
            sealed.transmits.allSatisfy {
                $0.bytes.segmentSize == 0 && $0.bytes.length == 544
            })
        #expect(open(sealed.bytes, sealed.transmits.map(message)) == equal)
    }

    @Test(
        "holdsInnerUDP is true for UDP and for IPv6 fragments", arguments: [UInt8(1), 6, 17, 44])
    func datagrams(protocolNumber: UInt8) {
        var sealer = makeSealer()
        for packet in [equal[0], InnerPacket.udp6(from: 1, to: 2)] {
            _ = seal([packet], by: &sealer)
            let isOfDatagram = sealer.holdsInnerUDP
            var other = packet
            other[packet[0] >> 4 == 4 ? 9 : 6] = protocolNumber
            _ = seal([other], by: &sealer)
            let isOfOther = sealer.holdsInnerUDP
            #expect(isOfDatagram)
            // 44 is the fragment header of IPv6.
            #expect(isOfOther == (protocolNumber == 17 || protocolNumber == 44))
        }
    }

    @Test("after a device or a path refuses segments, none are sent for ten seconds")
    func refusedSegments() throws {
        var sealer = makeSealer()
        let peer = try #require(seal(equal, by: &sealer).transmits[0].peer)
        for isOfPath in [false, true] {
            let now = pair.alice.now.instant
            if isOfPath {
                sealer.stopSegmentation(to: peer, now: now)
            } else {
                sealer.stopSegmentation(now: now)
            }
            #expect(seal(equal, by: &sealer).transmits.count == 5)
            network.advance(by: .seconds(8))
            #expect(seal(equal, by: &sealer).transmits.count == 5)
            network.advance(by: .seconds(2))
            #expect(seal(equal, by: &sealer).transmits.count == 1)
        }
        sealer.stopSegmentation(to: peer, now: pair.alice.now.instant)
        pair.alice.tunnel.mtu = 1300
        #expect(seal(equal, by: &sealer).transmits.count == 1, "smaller datagrams may fit the path")
    }

    @Test("refused segments are tried again by another route, and not after unrelated events")
    func segmentsByAnotherRoute() throws {
        var sealer = makeSealer()
        let device = pair.alice.tunnel.device
        func check(route: Int) {
            device.recheckSources()
            _ = seal(equal, by: &sealer)
            while device.handleWork(at: pair.alice.now) {}
            let checks = device.takeSourceChecks()
            #expect(checks.count == 1)
            for check in checks {
                device.finish(check, SourceVerdict(isUsable: true, route: route))
            }
        }
        let peer = try #require(seal(equal, by: &sealer).transmits[0].peer)
        check(route: 1)
        sealer.stopSegmentation(to: peer, now: pair.alice.now.instant)
        check(route: 1)
        #expect(seal(equal, by: &sealer).transmits.count == 5)
        check(route: 2)
        #expect(seal(equal, by: &sealer).transmits.count == 1)
    }

    @Test("a different ECN mark, length or peer starts a new send; a packet without a peer bounces")
    func mixed() {
        let marked = InnerPacket.udp4(from: 1, to: 2, byteCount: 500, trafficClass: 2)
        let sealed = seal(
            [equal[0], equal[1], marked, marked, InnerPacket.udp4(from: 1, to: 99), equal[2]])
        #expect(sealed.transmits.map(\.trafficClass) == [0, 2, 0])
        #expect(sealed.transmits.map(\.bytes.length) == [1_088, 1_088, 544])
        #expect(sealed.bounces == 1)
        let opened = open(sealed.bytes, sealed.transmits.map(message))
        #expect(opened == [equal[0], equal[1], marked, marked, equal[2]])
    }

    @Test("a duplicate is dropped, within a batch and across batches")
    func duplicates() {
        let sealed = seal(equal)
        let messages = sealed.transmits.map(message)
        // Opening is in place, so the duplicate is a copy behind the original.
        var second = messages[0]
        second.bytes.offset += sealed.bytes.count
        #expect(open(sealed.bytes + sealed.bytes, [messages[0], second]) == equal)
        #expect(open(sealed.bytes, messages) == [])
        #expect(pair.bob.tunnel.drops(.replayedMessage) == 10)
    }

    @Test("a forged message in a run does not affect the others")
    func oneForged() {
        var sealed = seal(equal)
        sealed.bytes[544 * 2 + 100] ^= 1
        let opened = open(sealed.bytes, sealed.transmits.map(message))
        #expect(opened == [equal[0], equal[1], equal[3], equal[4]])
        #expect(pair.bob.tunnel.drops(.forgedMessage) == 1)
    }

    @Test("any segment size of a receive is harmless")
    func junk() {
        let sealed = seal(equal)
        let transmit = sealed.transmits[0]
        for size in [0, 1, 16, 31, 32, 33, 543, 545, 65_535] {
            var wrong = message(transmit)
            wrong.bytes.segmentSize = size
            _ = open(sealed.bytes, [wrong])
        }
        var outside = message(transmit)
        outside.bytes.length = 0
        #expect(open(sealed.bytes, [outside]) == [])
        #expect(pair.isAlive())
    }

    @Test("packets beyond the capacity of the coalescer are dropped and counted")
    func noRoom() {
        let sealed = seal(equal)
        let opened = open(sealed.bytes, sealed.transmits.map(message), room: 3)
        #expect(opened == Array(equal.prefix(3)))
        #expect(pair.bob.tunnel.drops(.batchOverflow) == 2)
        #expect(pair.isAlive())
    }

    @Test("the last authentic message of a batch sets the endpoint")
    func endpointOfBatch() {
        let sealed = seal(equal, segmented: false)
        var messages = sealed.transmits.map(message)
        let there = Pair.address(203, 0, 113, 4, port: 4)
        messages[2].remote = there
        _ = open(sealed.bytes, Array(messages[0...2]))
        #expect(pair.bob.snapshot(of: pair.alice)?.endpoint == there)
        // The rest has smaller counters, but is authentic, so it moves the endpoint as in the kernel.
        _ = open(sealed.bytes, Array(messages[3...]))
        #expect(pair.bob.snapshot(of: pair.alice)?.endpoint == pair.alice.address)
    }
}
