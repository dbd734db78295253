import Packets
import Testing
import WireGuard
import WireGuardCrypto

@Suite("UAPI writer")
struct UAPIWriterTests {
    @Test("the answer about a device without settings is only errno=0")
    func empty() {
        var writer = UAPIWriter()
        writer.append(DeviceSnapshot())
        writer.finish()
        expect(string(writer.bytes), is: "errno=0\n\n")
        expect(writer.byteCount, is: 9)
        writer.removeAll()
        expect(writer.byteCount, is: 0)
    }

    @Test(
        "each error has its errno, negative for a set and positive for a get",
        arguments: [
            (.unknownRequest, 22), (.malformedLine(line: 2), 71), (.unknownKey(line: 2), 22),
            (.invalidValue(line: 2, key: .endpoint), 22), (.unexpectedLine(line: 2), 22),
            (.lineTooLong(line: 2), 22), (.tooManyPeers, 7), (.tooManyAllowedIPs, 7),
            (.refusedBySystem(code: 98), 98), (.refusedBySystem(code: .max), Int(Int32.max)),
            (.refusedBySystem(code: .min), 1 << 31),
        ] as [(ConfigurationError, Int)])
    func errors(error: ConfigurationError, errno: Int) {
        var writer = UAPIWriter()
        writer.finish(error, of: .set)
        writer.finish(error, of: .get)
        expect(string(writer.bytes), is: "errno=-\(errno)\n\nerrno=\(errno)\n\n")
    }

    @Test("all lines, in the order that clients expect")
    func everything() {
        var writer = UAPIWriter()
        var device = DeviceSnapshot()
        device.privateKey = withBytes([UInt8](repeating: 0xAB, count: 32)) { PrivateKey(bytes: $0) }
        device.listenPort = 51820
        device.firewallMark = .max
        writer.append(device)
        var peer = PeerSnapshot(publicKey: publicKey(2))
        peer.presharedKey =
            withBytes([UInt8](repeating: 3, count: 32)) { PresharedKey(bytes: $0) }
            ?? PresharedKey()
        peer.endpoint = SocketAddress(address: IPAddress("fe80::1"), port: 5, scope: 9)
        peer.lastHandshake = WallTime(seconds: 1_700_000_000, nanoseconds: 999_999_999)
        peer.txBytes = .max
        peer.rxBytes = 10
        peer.persistentKeepalive = 25
        writer.append(peer)
        writer.append(IPPrefix("10.0.0.0/8"))
        writer.append(IPPrefix("::/0"))
        writer.append(PeerSnapshot(publicKey: publicKey(4)))
        writer.append(statistic: "rx_errors", 7)
        writer.finish()
        expect(
            string(writer.bytes),
            is: """
                private_key=\(key(0xAB, isClamped: true))
                listen_port=51820
                fwmark=4294967295
                public_key=\(key(2))
                preshared_key=\(key(3))
                protocol_version=1
                endpoint=[fe80::1%9]:5
                last_handshake_time_sec=1700000000
                last_handshake_time_nsec=999999999
                tx_bytes=18446744073709551615
                rx_bytes=10
                persistent_keepalive_interval=25
                allowed_ip=10.0.0.0/8
                allowed_ip=::/0
                public_key=\(key(4))
                preshared_key=\(key(0))
                protocol_version=1
                last_handshake_time_sec=0
                last_handshake_time_nsec=0
                tx_bytes=0
                rx_bytes=0
                persistent_keepalive_interval=0
                rx_errors=7
                errno=0


                """)
    }

    @Test("a handshake before 1970 is written as zero")
    func oldHandshake() {
        var writer = UAPIWriter()
        var peer = PeerSnapshot(publicKey: publicKey(1))
        peer.lastHandshake = WallTime(seconds: .min, nanoseconds: 0)
        writer.append(peer)
        let text = string(writer.bytes)
        #expect(text.contains("last_handshake_time_sec=0\n"))
    }

    @Test("an answer written in parts equals the whole, and can be parsed as a set")
    func roundTrip() {
        var writer = UAPIWriter()
        var text = "set=1\n"
        var device = DeviceSnapshot()
        device.listenPort = 7
        writer.append(device)
        text += string(writer.bytes)
        var generator = SeededGenerator(seed: 3)
        var expected: [IPPrefix] = []
        for number in 1...20 as ClosedRange<UInt8> {
            writer.removeAll()
            let public1 = publicKey(number)
            writer.append(PeerSnapshot(publicKey: public1))
            for _ in 0..<10 {
                let address = IPAddress.v6(
                    IPv6Address(high: generator.next() & generator.next(), low: generator.next()))
                guard
                    let prefix = IPPrefix(address, length: .random(in: 0...128, using: &generator))
                else { return }
                expected.append(prefix)
                writer.append(prefix)
            }
            text +=
                string(writer.bytes).split(separator: "\n")
                .filter { !$0.hasPrefix("last_") && !$0.contains("x_bytes") }
                .joined(separator: "\n") + "\n"
        }
        var parser = UAPIParser()
        var found: [IPPrefix] = []
        withBytes(text + "\n") { bytes in
            var offset = 0
            switch parser.read(bytes, from: &offset, resolveScope: { _ in nil }) {
            case .set(let change):
                #expect(change.listenPort == 7)
                for peer in change.peers {
                    found += change.allowedIPs(of: peer).map { $0.prefix }
                }
            default:
                Issue.record("no set came of it")
            }
        }
        #expect(found == expected)
    }

    private func publicKey(_ byte: UInt8) -> PublicKey {
        guard
            let key = withBytes([UInt8](repeating: byte, count: 32), { PublicKey(bytes: $0) })
        else { preconditionFailure("there are 32 bytes") }
        return key
    }

    private func string(_ bytes: RawSpan) -> String {
        String(decoding: array(bytes), as: UTF8.self)
    }
}
