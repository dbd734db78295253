import Packets
import Testing
import WireGuardCrypto
import WireGuardTestSupport

@testable import WireGuard

@Suite("Packets through the tunnel: routes, sizes, ECN marks and counters")
struct PacketPathTests {
    let network = Network()

    // MARK: Sources

    @Test("a peer cannot send from another peer's address, even if it is inside its own prefix")
    func overlappingPrefixes() {
        let pair = network.makePair()
        pair.connect()
        // Bob's allowed IPs: Alice 10.0.0.0/24 and fd00::/16, Carol 10.0.0.5 and fd00::5.
        pair.bob.addPeer(pair.alice.publicKey, allowedIPs: ["10.0.0.0/24", "fd00::/16"])
        pair.bob.addPeer(PrivateKey(seed: 5).publicKey, allowedIPs: ["10.0.0.5/32", "fd00::5/128"])
        pair.bob.received = []
        for source in [1, 5, 200] as [UInt8] {
            pair.alice.send(InnerPacket.udp4(from: source, to: 2))
            pair.alice.send(InnerPacket.udp6(from: source, to: 2))
        }
        network.settle()
        #expect(pair.bob.received.count == 4)
        #expect(pair.bob.tunnel.drops(.disallowedSource) == 2)
        // A default route to Alice does not change that.
        pair.bob.addPeer(pair.alice.publicKey, allowedIPs: ["0.0.0.0/0", "::/0"])
        pair.alice.send(InnerPacket.udp4(from: 5, to: 2))
        pair.alice.send(
            InnerPacket.ipv4(from: [8, 8, 8, 8], to: [10, 0, 0, 2], payload: [1, 2, 3]))
        network.settle()
        #expect(pair.bob.received.count == 5)
        #expect(pair.bob.tunnel.drops(.disallowedSource) == 3)
    }

    @Test("content that is not an IP packet is dropped, and the session continues")
    func malformedInside() {
        let pair = network.makePair()
        pair.connect()
        var sent: UInt64 = 0
        for version in 0..<16 as Range<UInt8> {
            for length in 1...80 {
                // A length beyond the content, or below that of a header.
                for claimed in [length + 16, 19, 0] {
                    var packet = [UInt8](repeating: 0, count: length)
                    packet[0] = version << 4 | 5
                    if length > 3 {
                        packet[2] = UInt8(claimed >> 8)
                        packet[3] = UInt8(claimed & 0xFF)
                    }
                    // IPv6 without payload would be valid.
                    if version == 6, length > 5 { packet[4] = 1 }
                    stage(packet, at: pair.alice, for: pair.bob)
                    sent += 1
                }
            }
        }
        network.settle()
        #expect(pair.bob.received == [])
        #expect(pair.bob.tunnel.drops(.malformedInnerPacket) == sent)
        let errors = pair.bob.tunnel.device.tables.peers[0].receiveErrors.load(ordering: .relaxed)
        #expect(errors == sent)
        #expect(pair.isAlive())
    }

    private func stage(_ packet: [UInt8], at host: Host, for other: Host) {
        let device = host.tunnel.device
        guard let peer = device.peersByKey[other.publicKey] else {
            Issue.record("no peer")
            return
        }
        let staged = withBytes(packet) { StagedPacket(copying: $0) }
        device.shared.stage(staged, for: peer.slot, in: device.tables)
        device.sendStaged(peer, at: device.steady(host.now))
        // Collects the datagrams too.
        host.handleTimeout()
    }

    @Test("bytes beyond the length of the packet are removed")
    func trailingBytes() {
        let pair = network.makePair()
        pair.connect()
        let packet = InnerPacket.udp4(from: 1, to: 2, byteCount: 100)
        stage(packet + [UInt8](repeating: 0xAA, count: 333), at: pair.alice, for: pair.bob)
        network.settle()
        #expect(pair.bob.received == [packet])
    }

    @Test("input that is not an IP packet is not sent")
    func malformedOutbound() {
        let pair = network.makePair()
        for packet in [
            [], [0x45], [UInt8](repeating: 0, count: 60), [UInt8](repeating: 0x65, count: 39),
        ] {
            pair.alice.send(packet)
        }
        #expect(network.eve.seen == [])
        #expect(pair.alice.tunnel.drops(.malformedPacket) == 4)
    }

    // MARK: Sizes

    @Test("packets of every length arrive, padded to 16 bytes but not beyond the MTU")
    func padding() {
        let pair = network.makePair()
        pair.connect()
        for length in [
            28, 31, 32, 33, 84, 1_279, 1_280, 1_407, 1_408, 1_409, 1_419, 1_420, 1_421, 1_500,
            9_000, 65_535,
        ] {
            let packet = InnerPacket.udp4(from: 1, to: 2, byteCount: length)
            let seen = network.seen { pair.alice.send(packet) }
            network.settle()
            let padded = length >= 1_420 ? length : min((length + 15) / 16 * 16, 1_420)
            #expect(seen.map(\.bytes.count) == [padded + 32])
            #expect(pair.bob.received.last == packet)
        }
    }

    @Test("padding is zero, even if the buffer held other data")
    func zeroPadding() throws {
        let pair = network.makePair()
        pair.connect()
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2, byteCount: 1_400))
        let packet = InnerPacket.udp4(from: 1, to: 2, byteCount: 33)
        let message = try #require(network.seen { pair.alice.send(packet) }.first).bytes
        let counter = try #require(withBytes(message) { TransportData($0)?.counter })
        var opened = message
        pair.bob.withCurrentKeypair(to: pair.alice) { keypair in
            var packets = FixedArray(
                repeating: AEADPacket(
                    offset: TransportData.packet, length: message.count - TransportData.packet,
                    counter: counter), count: 1)
            opened.edit {
                var span = packets.mutablePrefix(1)
                ChaCha20Poly1305.open(&span, in: &$0, key: keypair.receiving, using: .sodium)
            }
            #expect(packets[0].isAuthentic)
        }
        let inside = opened.dropFirst(TransportData.packet).dropLast(TransportData.tagByteCount)
        #expect(Array(inside) == packet + [UInt8](repeating: 0, count: 15))
    }

    @Test("the MTU may change at any time", arguments: [0, 68, 576, 1_280, 9_000, 65_535])
    func mtu(_ mtu: Int) {
        let pair = network.makePair()
        pair.connect()
        pair.alice.tunnel.mtu = mtu
        for length in [28, 68, 69, 575, 576, 577, 1_280, 1_281] {
            let packet = InnerPacket.udp4(from: 1, to: 2, byteCount: length)
            let seen = network.seen { pair.alice.send(packet) }
            network.settle()
            #expect(pair.bob.received.last == packet)
            let longest = max(length, mtu)
            #expect(seen.allSatisfy { $0.bytes.count <= longest + 32 })
        }
    }

    // MARK: Traffic class

    @Test("ECN is copied to the datagram and back, for IPv4 and IPv6", arguments: 0..<4, 0..<4)
    func ecn(inner: UInt8, outer: UInt8) {
        let pair = network.makePair()
        pair.connect()
        let dscp: UInt8 = 0x88
        for packet in [
            InnerPacket.udp4(from: 1, to: 2, trafficClass: dscp | inner),
            InnerPacket.udp6(from: 1, to: 2, trafficClass: dscp | inner),
        ] {
            network.eve.meddle = {
                // RFC 3168, full functionality: CE is not copied outside.
                #expect($0.trafficClass == (inner == 3 ? 2 : inner))
                $0.trafficClass = outer
                return .pass
            }
            pair.alice.send(packet)
            network.settle()
            let expected: UInt8 =
                switch (outer, inner) {
                case (_, 0): 0
                case (3, _): 3
                case (1, 2): 1
                default: inner
                }
            let received = pair.bob.received.last ?? []
            #expect(received.count == packet.count)
            let isVersion4 = received[0] >> 4 == 4
            let marks = isVersion4 ? received[1] & 3 : received[1] >> 4 & 3
            #expect(marks == expected)
            #expect(isVersion4 ? received[1] & 0xFC == dscp : received[0] & 0xF == dscp >> 4)
            #expect(!isVersion4 || InnerPacket.hasRightChecksum(received))
        }
    }

    @Test("handshakes are sent with DSCP 34, keepalives with 0")
    func handshakeTrafficClass() {
        let pair = network.makePair()
        pair.connect()
        network.advance(by: .seconds(11))
        #expect(network.eve.seen.map(\.trafficClass) == [0x88, 0x88, 0, 0])
    }

    @Test("a staged packet keeps its ECN mark")
    func stagedECN() {
        let pair = network.makePair()
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2, trafficClass: 2))
        network.settle()
        #expect(network.eve.seen.last?.trafficClass == 2)
    }

    // MARK: Packets that cannot be routed

    @Test(
        "a packet without a peer, or to a peer without an endpoint, is answered with an ICMP error")
    func unreachable() {
        let pair = network.makePair()
        pair.alice.send(InnerPacket.udp4(from: 1, to: 99))
        #expect(pair.alice.received.map { $0[20..<22] } == [[3, 1]])
        #expect(pair.alice.received[0][12..<16] == [10, 0, 0, 99])
        #expect(InnerPacket.hasRightChecksum(pair.alice.received[0]))
        pair.alice.send(InnerPacket.udp6(from: 1, to: 99))
        #expect(pair.alice.received.last.map { $0[40..<42] } == [1, 3])
        #expect(pair.alice.tunnel.drops(.noPeer) == 2)
        // Bob has no endpoint for Alice.
        pair.bob.send(InnerPacket.udp4(from: 2, to: 1))
        #expect(pair.bob.received.map { $0[20..<22] } == [[3, 1]])
        #expect(pair.bob.tunnel.drops(.noEndpoint) == 1)
        #expect(network.eve.seen == [])
    }

    @Test("ICMP errors are limited to 100 per second and bursts of 50")
    func unreachableRate() {
        let pair = network.makePair()
        for _ in 0..<500 { pair.alice.send(InnerPacket.udp4(from: 1, to: 99)) }
        #expect(pair.alice.received.count == 50)
        network.advance(by: .seconds(1))
        for _ in 0..<500 { pair.alice.send(InnerPacket.udp4(from: 1, to: 99)) }
        #expect(pair.alice.received.count == 100)
    }

    @Test("ICMP errors, multicast and broadcast are not answered with an error")
    func silentlyUnreachable() {
        let pair = network.makePair()
        pair.alice.send(InnerPacket.udp4(from: 1, to: 99))
        pair.alice.send(pair.alice.received[0])
        for destination in [[224, 0, 0, 1], [255, 255, 255, 255], [0, 0, 0, 0]] as [[UInt8]] {
            pair.alice.send(InnerPacket.ipv4(from: [10, 0, 0, 1], to: destination, payload: []))
        }
        #expect(pair.alice.received.count == 1)
    }

    @Test(
        "our own datagram, routed to the peer it is addressed to, is dropped; other UDP to that address is sent"
    )
    func routingLoop() {
        let pair = network.makePair()
        pair.alice.addPeer(pair.bob.publicKey, allowedIPs: ["0.0.0.0/0"])
        pair.connect()
        func datagram(from source: UInt16, to destination: UInt16) -> [UInt8] {
            var packet = InnerPacket.udp4(
                from: 1, to: 2, sourcePort: source, destinationPort: destination)
            packet.replaceSubrange(16..<20, with: [198, 51, 100, 2])
            return packet
        }
        let seen = network.seen {
            pair.alice.send(datagram(from: 51820, to: 51821))
            #expect(pair.alice.tunnel.drops(.routingLoop) == 1)
            pair.alice.send(datagram(from: 51821, to: 51821))
            pair.alice.send(datagram(from: 51820, to: 53))
        }
        #expect(seen.map(\.type) == [4, 4])
        #expect(pair.alice.tunnel.drops(.routingLoop) == 1)

        // Sealing makes it longer than the MTU, so it returns as two fragments.
        var first = datagram(from: 51820, to: 51821)
        first[6] = 0x20
        var second = first
        second.replaceSubrange(6..<8, with: [0, 10])
        let fragments = network.seen {
            pair.alice.send(first)
            pair.alice.send(second)
        }
        #expect(fragments.map(\.type) == [4])
        #expect(pair.alice.tunnel.drops(.routingLoop) == 2)
    }

    // MARK: Replay

    @Test("a message may be 8128 counters late, not more, and nothing arrives twice")
    func window() {
        let pair = network.makePair()
        pair.connect()
        network.eve.remembers = false
        var held: [Capture] = []
        network.eve.meddle = { capture in
            guard held.count < 2 else { return .pass }
            held.append(capture)
            return .drop
        }
        pair.stream(0..<2, every: Interval(nanoseconds: 0))
        network.eve.meddle = { _ in .pass }
        pair.stream(2..<8_129 + 1, every: Interval(nanoseconds: 0))
        network.settle()
        #expect(pair.bob.received.count == 8_128)
        for capture in held + held { network.replay(capture) }
        network.settle()
        #expect(pair.bob.receivedNumbers.suffix(1) == [1], "only the second of the two, once")
        #expect(pair.bob.received.count == 8_129)
        #expect(pair.bob.tunnel.drops(.replayedMessage) == 3)
    }

    @Test(
        "under loss, duplication and reordering, all packets but the lost ones arrive exactly once")
    func disorder() {
        let pair = network.makePair()
        pair.connect()
        network.latencyVariation = .milliseconds(50)
        network.duplication = 0.5
        pair.stream(0..<2_000, every: .milliseconds(1))
        network.settle()
        #expect(pair.bob.receivedNumbers != Array(0..<2_000))
        #expect(pair.bob.receivedNumbers.sorted() == Array(0..<2_000))
        pair.bob.received = []
        network.loss = 0.5
        pair.stream(0..<2_000, every: .milliseconds(1))
        network.settle()
        #expect(Set(pair.bob.receivedNumbers).count == pair.bob.received.count)
        #expect((850...1_150).contains(pair.bob.received.count))
    }

    // MARK: Counters

    @Test("ten pings of 84 bytes count 1372 bytes in one direction and 1428 or 1460 in the other")
    func counters() {
        let pair = network.makePair()
        for _ in 0..<10 {
            pair.alice.send(InnerPacket.udp4(from: 1, to: 2, byteCount: 84))
            network.settle()
            pair.bob.send(InnerPacket.udp4(from: 2, to: 1, byteCount: 84))
            network.advance(by: .seconds(1))
        }
        #expect(pair.alice.snapshot(of: pair.bob)?.rxBytes == 1_372)
        #expect(pair.alice.snapshot(of: pair.bob)?.txBytes == 1_428)
        #expect(pair.bob.snapshot(of: pair.alice)?.txBytes == 1_372)
        #expect(pair.bob.snapshot(of: pair.alice)?.rxBytes == 1_428)
        network.advance(by: .seconds(60))
        #expect(pair.alice.snapshot(of: pair.bob)?.txBytes == 1_460)
        #expect(pair.bob.snapshot(of: pair.alice)?.rxBytes == 1_460)
        #expect(pair.alice.snapshot(of: pair.bob)?.rxBytes == 1_372)
    }

    @Test("a message that is refused after opening is not counted as received")
    func refusedIsNotCounted() {
        let pair = network.makePair()
        pair.connect()
        let before = pair.bob.snapshot(of: pair.alice)?.rxBytes
        pair.alice.send(InnerPacket.udp4(from: 77, to: 2))
        network.settle()
        #expect(pair.bob.snapshot(of: pair.alice)?.rxBytes == before)
    }
}
