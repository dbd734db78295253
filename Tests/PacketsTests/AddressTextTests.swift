import Glibc
import Packets
import Testing

@Suite("Address text")
struct AddressTextTests {
    @Test(
        "addresses are parsed, and printed in the shortest form",
        arguments: [
            ("0.0.0.0", "0.0.0.0"), ("192.0.2.1", "192.0.2.1"),
            ("255.255.255.255", "255.255.255.255"),
            ("10.0.20.100", "10.0.20.100"), ("::", "::"), ("::1", "::1"), ("1::", "1::"),
            ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"), ("1:0:0:2:0:0:0:3", "1:0:0:2::3"),
            ("1:0:0:2:0:0:3:4", "1::2:0:0:3:4"), ("1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"),
            ("0:1:2:3:4:5:6:7", "0:1:2:3:4:5:6:7"), ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
            ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"), ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
            ("::ffff:c000:201", "::ffff:192.0.2.1"), ("::192.0.2.1", "::192.0.2.1"),
            ("64:ff9b::192.0.2.1", "64:ff9b::c000:201"), ("0000:0001::0010", "0:1::10"),
            (
                "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
                "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
            ),
            ("fe80::0:0:0", "fe80::"),
        ])
    func addresses(text: String, printed: String) {
        #expect(address(text)?.description == printed)
    }

    @Test(
        "texts that are not an address",
        arguments: [
            "", " ", "1", "1.2.3", "1.2.3.4.5", "1.2.3.4 ", " 1.2.3.4", "1..2.3", ".1.2.3",
            "1.2.3.",
            "256.1.1.1", "1.1.1.256", "01.2.3.4", "1.2.3.04", "00.0.0.0", "1.2.3.0000", "0x1.2.3.4",
            "1.2.3.-4", "1,2,3,4", ":", ":::", "1:", ":1", "1:2", "1:2:3:4:5:6:7",
            "1:2:3:4:5:6:7:8:9",
            "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", "1::2::3", "1:::2", "12345::", "g::", "::1:",
            ":1::", "1.2.3.4::", "::1.2.3", "::1.2.3.4.5", "::256.1.1.1", "::01.2.3.4", "::a.1.2.3",
            "1:2:3:4:5:6:7:1.2.3.4", "::1.2.3.4:5", "fe80::1%1", "[::1]", "::1/64", "::\u{0}",
            "2001:db8::1 ", "１.2.3.4", "1:2:3:4:5:6:7:8:",
        ])
    func noAddress(text: String) {
        #expect(address(text) == nil)
    }

    @Test(
        "random texts are parsed like inet_pton(3)", arguments: 1...4 as ClosedRange<UInt64>)
    func likeGlibc(seed: UInt64) {
        var generator = Generator(state: seed)
        let bytes = Array("0123456789abcdefABCDEF::::....::.%/ g0".utf8)
        let bases = [
            "192.0.2.1", "0.0.0.0", "255.25.5.0", "2001:db8::1", "::ffff:192.0.2.1",
            "1:2:3:4:5:6:7:8", "::", "fe80::", "1:2:3:4:5:6:1.2.3.4", "a::b:c",
        ].map { Array($0.utf8) }
        var valid = 0
        for round in 0..<rounds {
            var text = bases[.random(in: 0..<bases.count, using: &generator)]
            if round % 3 == 0 { text = [] }
            for _ in 0..<Int.random(in: 0...(round % 3 == 0 ? 20 : 4), using: &generator) {
                let byte = bytes[.random(in: 0..<bytes.count, using: &generator)]
                let place = Int.random(in: 0...text.count, using: &generator)
                switch Int.random(in: 0..<3, using: &generator) {
                case 0 where place < text.count: text[place] = byte
                case 1 where place < text.count && round % 3 != 0: text.remove(at: place)
                default: text.insert(byte, at: place)
                }
            }
            let string = String(decoding: text, as: UTF8.self)
            let found = address(string)
            #expect(found == glibcAddress(string), "\(string)")
            if let found {
                valid += 1
                #expect(found.description == glibcText(found))
            }
        }
        #expect(valid > rounds / 20)
    }

    @Test("random addresses with many zeros are printed like inet_ntop(3), and parsed back")
    func printing() {
        var generator = Generator(state: 7)
        for _ in 0..<rounds {
            let mask = generator.next()
            func half(_ mask: UInt64) -> UInt64 {
                (0..<4).reduce(0) { half, group in
                    let bits = mask >> UInt64(group * 3) & 7
                    let value =
                        bits < 4 ? 0 : bits == 4 ? 0xFFFF : generator.next() & 0xFFFF >> bits
                    return half << 16 | value
                }
            }
            let found = IPAddress.v6(IPv6Address(high: half(mask), low: half(mask >> 32)))
            #expect(found.description == glibcText(found))
            #expect(address(found.description) == found)
        }
    }

    @Test(
        "host bits of prefixes are cleared",
        arguments: [
            ("192.0.2.1/24", "192.0.2.0/24"), ("192.0.2.1/32", "192.0.2.1/32"),
            ("1.2.3.4/0", "0.0.0.0/0"),
            ("255.255.255.255/1", "128.0.0.0/1"), ("255.255.255.255/31", "255.255.255.254/31"),
            ("::1/0", "::/0"), ("ffff::ffff/1", "8000::/1"), ("1:2:3:4:5:6:7:8/64", "1:2:3:4::/64"),
            ("1:2:3:ffff:ffff:6:7:8/63", "1:2:3:fffe::/63"),
            ("1:2:3:4:ffff:6:7:8/65", "1:2:3:4:8000::/65"),
            ("ffff::ffff/128", "ffff::ffff/128"), ("ffff::ffff/127", "ffff::fffe/127"),
            ("::ffff:1.2.3.4/120", "::ffff:1.2.3.0/120"),
        ])
    func prefixes(text: String, printed: String) {
        #expect(withBytes(text) { IPPrefix(parsing: $0) }?.description == printed)
    }

    @Test(
        "texts that are not a prefix",
        arguments: [
            "", "/", "/8", "1.2.3.4", "1.2.3.4/", "1.2.3.4/33", "1.2.3.4/032", "1.2.3.4/00",
            "1.2.3.4/-1",
            "1.2.3.4/+1", "1.2.3.4/1 ", "1.2.3.4/ 1", "1.2.3.4//8", "1.2.3.4/8/8", "1.2.3/8",
            "::/129",
            "::/1280", "::/0x1", "::/256", "fe80::%1/64", "1.2.3.4/8\n", "x/8",
            "1.2.3.4/1000000000000",
        ])
    func noPrefix(text: String) {
        #expect(withBytes(text) { IPPrefix(parsing: $0) } == nil)
    }

    @Test("a prefix is not longer than its address, and contains the addresses that start with it")
    func containment() {
        let address = IPAddress.v4(IPv4Address(bits: 0x0A01_0203))
        #expect(IPPrefix(address, length: 33) == nil)
        #expect(IPPrefix(address, length: -1) == nil)
        #expect(IPPrefix(.v6(IPv6Address(high: 0, low: 0)), length: 129) == nil)
        let prefix = IPPrefix(address, length: 16)
        #expect(prefix?.contains(.v4(IPv4Address(bits: 0x0A01_FFFF))) == true)
        #expect(prefix?.contains(.v4(IPv4Address(bits: 0x0A02_0000))) == false)
        #expect(prefix?.contains(.v6(IPv6Address(high: 0x0A01 << 48, low: 0))) == false)
    }

    @Test(
        "socket addresses",
        arguments: [
            ("1.2.3.4:5", "1.2.3.4:5"), ("255.255.255.255:65535", "255.255.255.255:65535"),
            ("[::1]:0", "[::1]:0"), ("[fe80::1%12]:7", "[fe80::1%12]:7"),
            ("[fe80::1%lo]:7", "[fe80::1%1]:7"),
            (
                "[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255%4294967295]:65535",
                "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535"
            ),
        ])
    func socketAddresses(text: String, printed: String) {
        let found = withBytes(text) {
            SocketAddress(parsing: $0, resolveScope: { $0 == "lo" ? 1 : nil })
        }
        #expect(found?.description == printed)
    }

    @Test(
        "texts that are not a socket address",
        arguments: [
            "", ":", "::", ":1", "[]:1", "[]", "[", "]", "[:1", "]:1", "[]:", "[%]:1", "1.2.3.4",
            "[::1]",
            "[::1]:65536", "::1", "[::1%x]:1", "[::1%\u{0}]:1", "%:1", "[1.2.3.4]:1", "a:1",
        ])
    func noSocketAddress(text: String) {
        let found = withBytes(text) { SocketAddress(parsing: $0, resolveScope: { _ in nil }) }
        #expect(found == nil)
    }

    @Test(
        "a string is parsed as strictly as the bytes of a request",
        arguments: [
            "127.0.0.1", "::1", "10.0.0.2/32", "fd00::/8", "127.0.0.1:51820", "[::1]:51820",
            "[fe80::1%3]:51820",
        ])
    func strings(text: String) {
        let parsed: [(any CustomStringConvertible)?] = [
            IPAddress(text), IPPrefix(text), SocketAddress(text),
        ]
        #expect(parsed.compactMap(\.self).map(\.description) == [text])
        for odd in [
            " " + text, text + " ", text + "\n", text + "\u{0}", "\u{301}" + text, text + "x",
        ] {
            #expect(IPAddress(odd) == nil && IPPrefix(odd) == nil && SocketAddress(odd) == nil)
        }
    }

    @Test(
        "names, ports out of range and bare addresses are refused",
        arguments: [
            "", "localhost:51820", "example.com:1", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536",
            "127.0.0.1:-1", "::1:51820", "[::1]", "[fe80::1%lo]:1", "[127.0.0.1]:1", ":51820",
            "127.0.0.1:http", "１27.0.0.1:1",
        ])
    func oddSocketAddresses(text: String) {
        #expect(SocketAddress(text) == nil)
    }

    @Test("an address of one family is parsed by its type, and a long string does not trap")
    func families() {
        #expect(IPv4Address("192.0.2.1")?.bits == 0xC000_0201)
        #expect(IPv4Address("192.0.2.1")?.description == "192.0.2.1")
        #expect(IPv4Address("::1") == nil && IPv6Address("192.0.2.1") == nil)
        #expect(IPv6Address("2001:DB8::1")?.description == "2001:db8::1")
        #expect(IPv6Address("::ffff:192.0.2.1")?.low == 0xFFFF_C000_0201)
        let long = String(repeating: "1", count: 100_000)
        #expect(IPAddress(long) == nil && IPPrefix(long + "/8") == nil)
        #expect(SocketAddress("[" + long + "]:1") == nil)
        let source = SourceAddress(address: .v4(IPv4Address(bits: 0xC000_0201)), interfaceIndex: 3)
        #expect(source.description == "192.0.2.1 on interface 3")
    }

    private func address(_ text: String) -> IPAddress? {
        IPAddress(text)
    }

    private func glibcAddress(_ text: String) -> IPAddress? {
        var v4 = in_addr()
        if unsafe inet_pton(AF_INET, text, &v4) == 1 {
            return .v4(IPv4Address(bits: UInt32(bigEndian: v4.s_addr)))
        }
        var bytes = [UInt8](repeating: 0, count: 16)
        guard unsafe inet_pton(AF_INET6, text, &bytes) == 1 else { return nil }
        let halves = stride(from: 0, to: 16, by: 8).map { start in
            bytes[start..<start + 8].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        }
        return .v6(IPv6Address(high: halves[0], low: halves[1]))
    }

    private func glibcText(_ address: IPAddress) -> String {
        var text = [CChar](repeating: 0, count: 64)
        switch address {
        case .v4(let address):
            var bits = address.bits.bigEndian
            unsafe inet_ntop(AF_INET, &bits, &text, 64)
        case .v6(let address):
            var halves = [address.high.bigEndian, address.low.bigEndian]
            unsafe inet_ntop(AF_INET6, &halves, &text, 64)
        }
        return String(
            decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// Fewer in debug builds, which are about fifty times slower.
#if DEBUG
    private let rounds = 4_000
#else
    private let rounds = 200_000
#endif

/// Calls `body` with the UTF-8 bytes of a text.
private func withBytes<Result>(_ text: String, _ body: (RawSpan) -> Result) -> Result {
    let bytes = Array(text.utf8)
    // Bytes have no padding.
    return unsafe body(bytes.span.bytes)
}

/// A seeded random number generator (SplitMix64).
private struct Generator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
        return word ^ word >> 31
    }
}
