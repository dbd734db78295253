import Packets
import Testing
import WireGuard
import WireGuardCrypto

@Suite("UAPI parser")
struct UAPIParserTests {
    @Test("a get", arguments: ["get=1\n\n", "get=1\r\n\r\n", "\n\nget=1\n\n", "get=1\n\n\n\n"])
    func get(text: String) {
        #expect(transcript(text) == ["get"])
    }

    @Test("a set with every key")
    func everything() {
        let text = """
            set=1
            private_key=\(key(1))
            listen_port=51820
            fwmark=4294967295
            replace_peers=true
            public_key=\(key(2))
            update_only=true
            preshared_key=\(key(3))
            endpoint=[fe80::1%5]:65535
            persistent_keepalive_interval=25
            replace_allowed_ips=true
            allowed_ip=10.1.2.3/16
            allowed_ip=-fd00::9/64
            protocol_version=1
            public_key=\(key(4))
            remove=true
            public_key=\(key(5))
            endpoint=192.0.2.1:0


            """
        #expect(
            transcript(text) == [
                """
                set key=\(key(1, isClamped: true)) port=51820 mark=4294967295 replace
                 \(key(2)) updateOnly psk=\(key(3)) at=[fe80::1%5]:65535 every=25 replace \
                +10.1.0.0/16 -fd00::/64
                 \(key(4)) remove
                 \(key(5)) createOrUpdate at=192.0.2.1:0
                """
            ])
    }

    @Test("zeros clear keys, and zero is a valid number")
    func zeros() {
        let text = """
            set=1\nprivate_key=\(key(0))\nlisten_port=0\nfwmark=0\npublic_key=\(key(0))
            preshared_key=\(key(0))\npersistent_keepalive_interval=0\n\n
            """
        #expect(
            transcript(text) == [
                "set key=cleared port=0 mark=0\n \(key(0)) createOrUpdate psk=\(key(0)) every=0"
            ])
        #expect(transcript("set=1\n\n") == ["set"])
    }

    @Test("the last of several values wins, and a peer may occur twice")
    func repetition() {
        let text = """
            set=1\nlisten_port=1\nlisten_port=2\nprivate_key=\(key(1))\nprivate_key=\(key(0))
            public_key=\(key(7))\npreshared_key=\(key(8))\npreshared_key=\(key(9))
            endpoint=192.0.2.1:1\nendpoint=192.0.2.2:2\nallowed_ip=10.0.0.0/8
            replace_allowed_ips=true\nallowed_ip=10.2.0.0/16\nremove=true\nupdate_only=true
            public_key=\(key(7))\n\n
            """
        #expect(
            transcript(text) == [
                """
                set key=cleared port=2
                 \(key(7)) remove psk=\(key(9)) at=192.0.2.2:2 replace +10.2.0.0/16
                 \(key(7)) createOrUpdate
                """
            ])
    }

    @Test("hexadecimal digits of keys may be in either case")
    func upperCase() {
        let digits = String(repeating: "aB", count: 32)
        #expect(
            transcript("set=1\npublic_key=\(digits)\n\n")
                == ["set\n \(digits.lowercased()) createOrUpdate"])
    }

    @Test(
        "endpoints",
        arguments: [
            ("1.2.3.4:5", "1.2.3.4:5"), ("1.2.3.4:00080", "1.2.3.4:80"),
            ("[2001:DB8::1]:5", "[2001:db8::1]:5"), ("[fe80::1%eth0]:5", "[fe80::1%7]:5"),
            ("[fe80::1%0]:5", "[fe80::1]:5"), ("[fe80::1%4294967295]:5", "[fe80::1%4294967295]:5"),
            ("[::ffff:1.2.3.4]:5", "[::ffff:1.2.3.4]:5"), ("[::]:65535", "[::]:65535"),
        ])
    func endpoints(text: String, printed: String) {
        #expect(
            transcript("set=1\npublic_key=\(key(1))\nendpoint=\(text)\n\n")
                == ["set\n \(key(1)) createOrUpdate at=\(printed)"])
    }

    @Test(
        "device lines that are refused",
        arguments: [
            "private_key=", "private_key=00", "private_key=\(key(1))0", "private_key= \(key(1))",
            "private_key=\(key(1)) ", "private_key=g" + key(1).dropFirst(),
            "private_key=0x" + key(1).dropFirst(2),
            "PRIVATE_KEY=\(key(1))", "private_key =\(key(1))", " private_key=\(key(1))",
            "listen_port=", "listen_port=65536", "listen_port=-1", "listen_port=+1",
            "listen_port=0x1",
            "listen_port=1 ", "listen_port= 1", "listen_port=off",
            "listen_port=99999999999999999999",
            "fwmark=", "fwmark=4294967296", "fwmark=0xca6c", "fwmark=off", "fwmark=-0",
            "wipe_sessions=false", "wipe_sessions=", "wipe_sessions=1", "wipe_sessions=true ",
            "replace_peers=false", "replace_peers=", "replace_peers=1", "replace_peers=True",
            "replace_peers=true ", "=", "=1", "nonsense=1", "errno=0", "get=1", "set=1",
            "preshared_key=\(key(1))", "endpoint=1.2.3.4:5", "allowed_ip=1.2.3.4/5", "remove=true",
            "update_only=true", "persistent_keepalive_interval=1", "replace_allowed_ips=true",
            "protocol_version=1", "\u{0}=1", "private_k\u{e9}y=1", "public_key=",
            "public_key=\(key(1).dropLast())",
            "public_key=\(key(1).dropLast())z",
        ])
    func refusedOfDevice(line: String) {
        let keys = [
            "private_key", "listen_port", "fwmark", "replace_peers", "wipe_sessions", "public_key",
        ]
        let expected = refusal(of: line, keys: keys, number: 3)
        #expect(transcript("set=1\nlisten_port=1\n\(line)\n\nget=1\n\n") == [expected, "get"])
    }

    @Test(
        "peer lines that are refused",
        arguments: [
            "private_key=\(key(1))", "listen_port=1", "fwmark=1", "replace_peers=true",
            "wipe_sessions=true",
            "preshared_key=", "preshared_key=\(key(1))00", "preshared_key=\(key(1).dropLast())",
            "endpoint=", "endpoint=1.2.3.4", "endpoint=1.2.3.4:", "endpoint=:5",
            "endpoint=1.2.3.4:65536",
            "endpoint=1.2.3.4:-5", "endpoint=1.2.3:5", "endpoint=01.2.3.4:5",
            "endpoint=1.2.3.4.5:6",
            "endpoint=256.2.3.4:5", "endpoint=[1.2.3.4]:5", "endpoint=::1:5", "endpoint=[::1]",
            "endpoint=[::1]:", "endpoint=[::1:5", "endpoint=::1]:5", "endpoint=[]:5",
            "endpoint=[::1]5",
            "endpoint=[::1%]:5", "endpoint=[::1%wlan9]:5", "endpoint=[::1%4294967296]:5",
            "endpoint=[%1]:5",
            "endpoint=[::1]x:5", "endpoint=[::1] :5", "endpoint=1.2.3.4%1:5",
            "endpoint=[::1%5%6]:5",
            "endpoint=localhost:5", "endpoint=[:::1]:5", "endpoint=[::1]:5 ",
            "persistent_keepalive_interval=", "persistent_keepalive_interval=65536",
            "persistent_keepalive_interval=off", "persistent_keepalive_interval=-1",
            "replace_allowed_ips=false", "replace_allowed_ips=", "remove=false", "remove=",
            "remove=1",
            "update_only=false", "update_only=", "protocol_version=2", "protocol_version=",
            "protocol_version=01", "allowed_ip=", "allowed_ip=-", "allowed_ip=1.2.3.4",
            "allowed_ip=1.2.3.4/",
            "allowed_ip=1.2.3.4/33", "allowed_ip=1.2.3.4/-1", "allowed_ip=1.2.3.4/08",
            "allowed_ip=1.2.3.4/ 8",
            "allowed_ip=1.2.3/24", "allowed_ip=--1.2.3.4/8", "allowed_ip=+1.2.3.4/8",
            "allowed_ip=/8",
            "allowed_ip=::/129", "allowed_ip=fe80::1%5/64", "allowed_ip=[::1]/64",
            "allowed_ip=1.2.3.4/8/8",
            "allowed_ip=::1/1000", "allowed_ip=1.2.3.4/255.0.0.0", "allowed_ip=1.2.3.4/8,5.6.7.8/8",
            "last_handshake_time_sec=1", "tx_bytes=1", "unknown=1", "=",
        ])
    func refusedOfPeer(line: String) {
        let text = "set=1\nlisten_port=1\npublic_key=\(key(1))\n\(line)\n\nget=1\n\n"
        let keys = [
            "public_key", "remove", "update_only", "preshared_key", "endpoint",
            "persistent_keepalive_interval", "replace_allowed_ips", "allowed_ip",
            "protocol_version",
        ]
        #expect(transcript(text) == [refusal(of: line, keys: keys, number: 4), "get"])
    }

    @Test("a line without = is malformed, and the first error of a set is reported")
    func malformed() {
        #expect(transcript("set=1\nlisten_port\n\n") == ["set failed: line 2: no '=' found"])
        #expect(transcript("set=1\n \n\n") == ["set failed: line 2: no '=' found"])
        #expect(transcript("set=1\n\r\r\n\n") == ["set failed: line 2: no '=' found"])
        #expect(transcript("set=1\nx\nx=1\n\n") == ["set failed: line 2: no '=' found"])
        #expect(transcript("set=1\nx=1\nx\n\n") == ["set failed: line 2: unknown or misplaced key"])
        #expect(
            transcript("set=1\nfwmark=1\nx=1\npublic_key=\(key(1))\n\nset=1\n\n")
                == ["set failed: line 3: unknown or misplaced key", "set"])
    }

    @Test(
        "unknown first lines",
        arguments: [
            ("get=2", "get"), ("get=", "get"), ("get=1 ", "get"), ("get=11", "get"),
            ("set=2", "set"),
            ("set=", "set"), ("set", "set"), ("get", "set"), ("Get=1", "set"),
            ("private_key=\(key(1))", "set"), ("=", "set"), ("hello", "set"), (" ", "set"),
            ("errno=0", "set"), ("\u{0}", "set"),
        ])
    func unknownFirstLine(line: String, kind: String) {
        let failure = "\(kind) failed: line 1: neither get=1 nor set=1"
        #expect(transcript("\(line)\n\nget=1\n\n") == [failure, "get"])
        #expect(transcript("\n\n\(line)\nlisten_port=1\n\n") == [failure])
        #expect(transcript("\(line)\n") == [])
    }

    @Test("a get with more lines fails as a get")
    func getWithLines() {
        #expect(
            transcript("get=1\nlisten_port=1\n\nget=1\n\n")
                == ["get failed: line 2: line after the end of the request", "get"])
    }

    @Test(
        "a request without its blank line has no effect",
        arguments: [
            "", "get=1", "get=1\n", "get=1\n\r", "set=1\nlisten_port=5\n", "set=1\nlisten_port=5",
            "set=1\nx=1\n",
        ])
    func unfinished(text: String) {
        #expect(transcript(text) == [])
    }

    @Test("several requests in one piece")
    func dialogues() {
        #expect(
            transcript("get=1\n\nset=1\nlisten_port=7\n\nset=1\nfwmark=8\n\nget=1\n\nset=1\nq\n\n")
                == [
                    "get", "set port=7", "set mark=8", "get", "set failed: line 2: no '=' found",
                ])
    }

    @Test("a line of more than 1024 bytes ends the connection")
    func lineLength() {
        let most = String(repeating: "x", count: 1024)
        #expect(transcript("set=1\n\(most)\n\n") == ["set failed: line 2: no '=' found"])
        #expect(
            transcript("set=1\nlisten_port=" + String(repeating: "0", count: 1012) + "\n\n") == [
                "set port=0"
            ])
        func tooLong(_ line: Int) -> String {
            "set failed: line \(line): longer than 1024 bytes"
        }
        #expect(transcript("set=1\n\(most)x\n\nget=1\n\n") == [tooLong(2)])
        #expect(transcript("get=1\n\n\(most)x") == ["get", tooLong(1)])
        #expect(transcript("get=1\n\(most)x") == [tooLong(2)])
        #expect(transcript(String(repeating: "x", count: 100_000)) == [tooLong(1)])
    }

    @Test(
        "the result does not depend on the size of the pieces or on LF and CRLF", arguments: 1...40)
    func chunks(size: Int) {
        let text = """
            set=1\nprivate_key=\(key(1))\nlisten_port=51820\npublic_key=\(key(2))
            endpoint=[fe80::1%eth0]:5\nallowed_ip=10.0.0.0/8\nallowed_ip=fd00::/8\n\nget=1\n
            set=1\npublic_key=\(key(3))\nallowed_ip=-10.0.0.0/8\n\nset=1\nbad\n\nget=9\n\n
            """
        let whole = transcript(text)
        #expect(whole.count == 5)
        #expect(transcript(text, pieces: size) == whole)
        let crlf = text.split(separator: "\n", omittingEmptySubsequences: false)
            .joined(separator: "\r\n")
        #expect(transcript(crlf) == whole)
        #expect(transcript(crlf, pieces: size) == whole)
    }

    @Test(
        "mutated requests do not trap, and the result does not depend on the pieces",
        arguments: 1...4 as ClosedRange<UInt64>)
    func mutations(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let base = Array(
            """
            set=1\nprivate_key=\(key(1))\nlisten_port=51820\nfwmark=1\nreplace_peers=true
            public_key=\(key(2))\npreshared_key=\(key(3))\nendpoint=[fe80::1%eth0]:5
            persistent_keepalive_interval=25\nreplace_allowed_ips=true\nallowed_ip=10.0.0.0/8
            allowed_ip=-fd00::/8\nremove=true\nupdate_only=true\nprotocol_version=1\n\nget=1\n\n
            """.utf8)
        let bytes = Array("\n\n\n\r=/:.%[]-0123456789abcdefx\u{0}".utf8) + [0x80, 0xFF]
        for _ in 0..<scaled(release: 20_000, debug: 500) {
            var text = base
            for _ in 0..<Int.random(in: 1...6, using: &generator) {
                let place = Int.random(in: 0..<text.count, using: &generator)
                let byte = bytes[.random(in: 0..<bytes.count, using: &generator)]
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: text[place] = byte
                case 1: text.insert(byte, at: place)
                default: text.remove(at: place)
                }
            }
            let size = Int.random(in: 1...50, using: &generator)
            #expect(transcript(text, pieces: size) == transcript(text, pieces: .max))
        }
    }

    @Test("130,560 prefixes in one set")
    func manyPrefixes() {
        let count = scaled(release: 255 * 256 * 2, debug: 2_000)
        var text = Array("set=1\npublic_key=\(key(1))\nreplace_allowed_ips=true\n".utf8)
        for number in 0..<count / 2 {
            text += Array("allowed_ip=\(number >> 8).\(number & 255).0.0/16\n".utf8)
            text += Array("allowed_ip=fd00::\(String(number, radix: 16))/128\n".utf8)
        }
        text += [10]
        var parser = UAPIParser()
        var prefixes = 0
        var offset = 0
        withBytes(text) { bytes in
            switch parser.read(bytes, from: &offset, resolveScope: { _ in nil }) {
            case .set(let change): prefixes = change.allowedIPs(of: change.peers[0]).count
            default: break
            }
        }
        #expect(prefixes == count)
        #expect(offset == text.count)
    }

    @Test("a change built in code equals a parsed one")
    func builder() {
        var change = ConfigurationChange()
        change.addAllowedIP(IPPrefix("10.0.0.0/8"), .add)
        change.replaceAllowedIPs()
        change.setPresharedKey(PresharedKey())
        change.withLastPeer { $0.action = .remove }
        #expect(describe(change) == "set", "without a peer nothing changes")
        guard let publicKey = withBytes([UInt8](repeating: 2, count: 32), { PublicKey(bytes: $0) })
        else { return }
        change.addPeer(publicKey)
        change.addAllowedIP(IPPrefix("10.0.0.0/8"), .add)
        #expect(describe(change) == "set\n \(key(2)) createOrUpdate +10.0.0.0/8")
    }
}

/// The hexadecimal digits of a key whose bytes are all `byte`.
func key(_ byte: UInt8, isClamped: Bool = false) -> String {
    var bytes = [UInt8](repeating: byte, count: 32)
    if isClamped {
        bytes[0] &= 0xF8
        bytes[31] = bytes[31] & 0x7F | 0x40
    }
    return withBytes(bytes) { hexadecimal($0) }
}

func hexadecimal(_ bytes: RawSpan) -> String {
    array(bytes).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

/// The requests that a parser returns for a text that arrives in pieces. `eth0` is interface 7.
private func transcript(_ text: String, pieces: Int = .max) -> [String] {
    transcript(Array(text.utf8), pieces: pieces)
}

private func transcript(_ text: [UInt8], pieces: Int) -> [String] {
    var parser = UAPIParser()
    var events: [String] = []
    var rest = text[...]
    while !rest.isEmpty {
        let piece = Array(rest.prefix(pieces))
        rest = rest.dropFirst(piece.count)
        withBytes(piece) { bytes in
            var offset = 0
            reading: while true {
                switch parser.read(
                    bytes, from: &offset, resolveScope: { $0 == "eth0" ? 7 : nil })
                {
                case nil: break reading
                case .get: events.append("get")
                case .set(let change): events.append(describe(change))
                case .failed(let error, of: let kind): events.append("\(kind) failed: \(error)")
                }
            }
            #expect(offset == bytes.byteCount)
        }
    }
    return events
}

/// How a transcript shows that a set is refused for `line`, its line `number`, where `keys` are valid.
private func refusal(of line: String, keys: [String], number: Int) -> String {
    let key = line.prefix { $0 != "=" }
    return keys.contains { $0 == key }
        ? "set failed: line \(number): invalid value of \(key)"
        : "set failed: line \(number): unknown or misplaced key"
}

private func describe(_ change: borrowing ConfigurationChange) -> String {
    var text = "set"
    switch change.privateKey {
    case .unchanged: break
    case .cleared: text += " key=cleared"
    case .set(let key): text += " key=" + hexadecimal(key.bytes)
    }
    if let port = change.listenPort { text += " port=\(port)" }
    if let mark = change.firewallMark { text += " mark=\(mark)" }
    if change.replacesPeers { text += " replace" }
    for peer in change.peers {
        text += "\n " + hexadecimal(peer.publicKey.bytes) + " \(peer.action)"
        if let key = change.presharedKey(of: peer) { text += " psk=" + hexadecimal(key.bytes) }
        if let endpoint = peer.endpoint { text += " at=\(endpoint)" }
        if let interval = peer.persistentKeepalive { text += " every=\(interval)" }
        if peer.replacesAllowedIPs { text += " replace" }
        for allowedIP in change.allowedIPs(of: peer) {
            text += " " + (allowedIP.action == .add ? "+" : "-") + "\(allowedIP.prefix)"
        }
    }
    return text
}
