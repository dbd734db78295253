import Packets
import Synchronization
import Testing
import WireGuardTestSupport

@testable import WireGuard

@Suite("Configuring a running interface")
struct ConfigurationTests {
    let network = Network()
    let pair: Pair

    init() {
        pair = network.makePair(.mutualEndpoints)
        pair.connect()
        network.advance(by: .seconds(1))
    }

    private func isAlive() {
        #expect(pair.isAlive())
    }

    @Test("a request during the work on many other peers is not lost")
    func requestBetweenCalls() {
        let device = pair.alice.tunnel.device
        var random = SystemRandom()
        for _ in 0..<100 {
            pair.alice.addPeer(
                PrivateKey(random: &random).publicKey, allowedIPs: [], endpoint: pair.bob.address)
        }
        func ask(_ slot: UInt32) -> Wake {
            device.shared.request(
                .handshake, of: PeerSlot(rawValue: slot), in: device.tables)
        }
        let slots = (1...100).map(UInt32.init)
        for slot in slots.dropLast() { _ = ask(slot) }
        #expect(device.handleWork(at: pair.alice.now), "more waits than one call handles")
        // The wait before the next call consumes this wake-up.
        #expect(ask(100) == .needed)
        var calls = 0
        while device.handleWork(at: pair.alice.now), calls < 10 { calls += 1 }
        #expect(device.shared.takeRequests() == [])
    }

    @Test("setting the current values keeps the session and the counters")
    func setInPlace() {
        let before = pair.alice.snapshot(of: pair.bob)?.txBytes
        for _ in 0..<3 {
            pair.alice.configure(
                """
                private_key=\(pair.alice.privateKey)
                fwmark=0
                public_key=\(pair.bob.publicKey.hexadecimal)
                replace_allowed_ips=true
                allowed_ip=10.0.0.2/32
                allowed_ip=fd00::2/128
                endpoint=\(pair.bob.address)
                """)
        }
        #expect(pair.alice.snapshot(of: pair.bob)?.txBytes == before)
        let seen = network.seen { isAlive() }
        #expect(seen.map(\.type) == [4, 4])
    }

    @Test("replacing peers discards their state")
    func replacePeers() {
        pair.alice.configure("replace_peers=true")
        #expect(pair.alice.tunnel.peers == [])
        #expect(pair.alice.indexCount == 0)
        pair.alice.addPeer(
            pair.bob.publicKey, allowedIPs: ["10.0.0.2/32"], endpoint: pair.bob.address)
        #expect(pair.alice.snapshot(of: pair.bob)?.txBytes == 0)
        #expect(pair.alice.snapshot(of: pair.bob)?.lastHandshake == nil)
        let seen = network.seen { isAlive() }
        #expect(seen.map(\.type) == [1, 2, 4, 4])
    }

    @Test("a prefix that is kept stays in the table, and one that moves has one owner")
    func replaceAllowedIPs() {
        let carol = PrivateKey(seed: 3).publicKey
        pair.alice.configure(
            """
            public_key=\(carol.hexadecimal)
            replace_allowed_ips=true
            allowed_ip=10.0.0.2/32
            """)
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        #expect(pair.alice.tunnel.drops(.noEndpoint) == 1)
        pair.alice.addPeer(pair.bob.publicKey, allowedIPs: ["10.0.0.2/32"])
        #expect(pair.isAlive())
        pair.alice.configure(
            "public_key=\(pair.bob.publicKey.hexadecimal)\nreplace_allowed_ips=true")
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        #expect(pair.alice.tunnel.drops(.noPeer) == 1)
    }

    @Test(
        "a set with an invalid line changes nothing",
        arguments: [
            "listen_port=70000", "nonsense=1", "allowed_ip=10.0.0.0/33", "public_key=12",
            "endpoint=nowhere", "preshared_key=00", "no line at all",
            "persistent_keepalive_interval=-1", "protocol_version=2",
        ])
    func failingSet(line: String) {
        #expect(throws: ConfigurationError.self) {
            try pair.alice.tunnel.configure(
                """
                private_key=\(String(repeating: "1", count: 64))
                listen_port=1
                fwmark=5
                replace_peers=true
                public_key=\(PrivateKey(seed: 3).publicKey.hexadecimal)
                allowed_ip=10.0.0.2/32
                \(line)
                """, now: pair.alice.now)
        }
        #expect(pair.alice.tunnel.peers == [pair.bob.publicKey])
        #expect(pair.alice.tunnel.listenPort == 51820 && pair.alice.tunnel.firewallMark == 0)
        let seen = network.seen { isAlive() }
        #expect(seen.map(\.type) == [4, 4])
    }

    @Test(
        "the first and the last line of the text are optional, and nothing may follow a blank line",
        arguments: [
            ("fwmark=7", nil), ("fwmark=7\n", nil), ("fwmark=7\n\n", nil), ("set=1\nfwmark=7", nil),
            ("set=1\r\nfwmark=7\r\n\r\n", nil), ("", nil), ("fwmark=7\r\n\n\n\r\n", nil),
            ("fwmark=8\n\nfwmark=8\n", .unexpectedLine(line: 3)), ("get=1", .unknownKey(line: 1)),
            ("\nfwmark=8", .unexpectedLine(line: 2)), ("set=2\nfwmark=8", .unknownKey(line: 1)),
            ("set=11\nfwmark=8", .unknownRequest), ("fwmark=8\nx", .malformedLine(line: 2)),
            ("set=1\nfwmark=8\nx=", .unknownKey(line: 3)),
            ("fwmark=8\nlisten_port=x\nx", .invalidValue(line: 2, key: .listenPort)),
        ] as [(String, ConfigurationError?)])
    func text(_ text: String, error: ConfigurationError?) {
        let tunnel = pair.alice.tunnel
        var thrown: ConfigurationError?
        do throws(ConfigurationError) {
            try tunnel.configure(text, now: pair.alice.now)
        } catch {
            thrown = error
        }
        #expect(thrown == error)
        let isSet = error == nil && !text.isEmpty
        #expect(tunnel.firewallMark == (isSet ? 7 : 0))
    }

    @Test("a get returns what was set")
    func get() {
        var writer = UAPIWriter()
        pair.alice.tunnel.write(to: &writer)
        let text = String(decoding: array(writer.bytes), as: UTF8.self)
        for line in [
            "private_key=\(pair.alice.privateKey)", "listen_port=51820",
            "public_key=\(pair.bob.publicKey.hexadecimal)", "endpoint=198.51.100.2:51821",
            "allowed_ip=10.0.0.2/32", "allowed_ip=fd00::2/128", "tx_bytes=276", "rx_bytes=92",
            "protocol_version=1", "errno=0",
        ] {
            #expect(text.split(separator: "\n").contains { $0 == line }, "\(line)")
        }
        #expect(text.hasSuffix("\nerrno=0\n\n"))
    }

    // MARK: Keys

    @Test("after a new private key, the old session receives but does not send")
    func changePrivateKey() {
        let seen = network.seen {
            pair.alice.configure("private_key=" + array(PrivateKey(seed: 8)).hexadecimal)
            network.settle()
        }
        #expect(seen == [], "replacing the key sends nothing")
        pair.alice.received = []
        pair.bob.send(InnerPacket.udp4(from: 2, to: 1))
        network.settle()
        #expect(pair.alice.received.count == 1)
        // The limit of 5 s does not delay the packet. Bob does not know the new key.
        let attempt = network.seen {
            pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
            network.settle()
        }
        #expect(attempt.map(\.type) == [1])
        pair.bob.addPeer(
            PrivateKey(seed: 8).publicKey, allowedIPs: ["10.0.0.1/32"], endpoint: pair.alice.address
        )
        pair.bob.received = []
        network.advance(by: .seconds(6))
        #expect(pair.bob.received.count == 1)
    }

    @Test("setting the first private key while up sends the staged packets")
    func firstPrivateKey() {
        pair.alice.configure("private_key=" + String(repeating: "0", count: 64))
        network.advance(by: .seconds(200))
        pair.bob.received = []
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        network.settle()
        #expect(pair.bob.received == [])
        pair.alice.configure("private_key=" + pair.alice.privateKey)
        network.settle()
        #expect(pair.bob.received.count == 1)
    }

    @Test("changing the key discards a pending initiation")
    func handshakeUnderWay() {
        network.advance(by: .seconds(200))
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        network.advance(by: .milliseconds(15))
        pair.alice.configure("private_key=" + array(PrivateKey(seed: 8)).hexadecimal)
        #expect(pair.alice.tunnel.device.handshakes.isEmpty)
        network.settle()
        #expect(pair.alice.responses(of: pair.bob) == 1)
    }

    // MARK: Up and down

    @Test("down wipes all keys, up starts a session immediately, and the counters stay")
    func downAndUp() {
        let bytes = pair.alice.snapshot(of: pair.bob)?.txBytes ?? 0
        let handshake = pair.alice.snapshot(of: pair.bob)?.lastHandshake
        for _ in 0..<20 {
            pair.alice.takeDown()
            #expect(pair.alice.indexCount == 0 && pair.alice.nextTimeout == nil)
            #expect(pair.alice.tunnel.device.tables.keypairs.count == 0)
            pair.alice.bringUp()
            network.advance(by: .milliseconds(25))
            #expect(pair.isAlive())
        }
        #expect(pair.alice.snapshot(of: pair.bob)?.txBytes ?? 0 > bytes)
        #expect(pair.alice.snapshot(of: pair.bob)?.lastHandshake != handshake)
        #expect(pair.alice.tunnel.listenPort == 51820)
    }

    @Test("bringing the interface up sends a persistent keepalive")
    func upWithKeepalive() {
        pair.alice.takeDown()
        pair.alice.addPeer(pair.bob.publicKey, allowedIPs: [], persistentKeepalive: 25)
        #expect(pair.alice.nextTimeout == nil)
        let seen = network.seen {
            pair.alice.bringUp()
            network.settle()
        }
        #expect(seen.map(\.type) == [1, 2, 4])
    }

    @Test("among many peers with a persistent keepalive, each waits only for those before it")
    func upWithManyKeepalives() {
        let device = pair.alice.tunnel.device
        var random = SystemRandom()
        pair.alice.takeDown()
        for _ in 0..<200 {
            pair.alice.addPeer(
                PrivateKey(random: &random).publicKey, allowedIPs: [], endpoint: pair.bob.address,
                persistentKeepalive: 25)
        }
        // The clock stands still between the calls.
        device.bringUp(at: pair.alice.now)
        var sent: [Int] = []
        var hasMore = true
        while hasMore, sent.count < 10 {
            hasMore = device.handleWork(at: pair.alice.now)
            sent.append(device.takeDatagrams().count)
        }
        #expect(sent == [64, 64, 64, 8])
    }

    @Test("a peer with a persistent keepalive is sent to as soon as it has an endpoint")
    func endpointAfterKeepalive() {
        let host = network.addHost("Carol", at: Pair.address(192, 0, 2, 9, port: 9))
        host.addPeer(pair.bob.publicKey, allowedIPs: ["10.0.0.2/32"], persistentKeepalive: 5)
        #expect(
            network.seen { network.advance(by: .seconds(60)) }.allSatisfy {
                $0.from != host.address
            })
        host.addPeer(pair.bob.publicKey, allowedIPs: [], endpoint: pair.bob.address)
        #expect(network.eve.seen.last?.from == host.address)
    }

    @Test("removing a peer in any state frees everything", arguments: 0..<6)
    func removal(state: Int) {
        network.advance(by: .seconds(200))
        switch state {
        case 0: break
        case 1: network.advance(by: .seconds(600))
        case 2: pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        case 3:
            pair.bob.send(InnerPacket.udp4(from: 2, to: 1))
            network.advance(by: .milliseconds(15))
        case 4: #expect(pair.isAlive())
        default:
            network.eve.meddle = { _ in .drop }
            pair.stream(0..<130, every: .seconds(1))
        }
        // The trace reports the number of other drops a second later.
        pair.alice.tunnel.isTracing = false
        pair.alice.configure("public_key=\(pair.bob.publicKey.hexadecimal)\nremove=true")
        let device = pair.alice.tunnel.device
        #expect(pair.alice.indexCount == 0 && pair.alice.nextTimeout == nil)
        #expect(device.tables.peers.count == 0 && device.tables.keypairs.count == 0)
        #expect(device.tables.routes.count == 0)
        #expect(device.shared.stagedBytes == 0)
        network.eve.meddle = { _ in .pass }
        network.advance(by: .seconds(10))
        let before = pair.alice.tunnel.drops(.noPeer)
        #expect(before == [0, 0, 1, 0, 0, 128][state], "staged packets")
        pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
        #expect(pair.alice.tunnel.drops(.noPeer) == before + 1)
    }
}

private func array(_ key: borrowing PrivateKey) -> [UInt8] {
    let bytes = key.bytes
    return (0..<bytes.byteCount).map { bytes.byte(at: $0) }
}
