import Packets
import Testing
import WireGuard
import WireGuardCrypto

@Suite("Cookies")
struct CookieTests {
    /// A sender, a receiver, and the last message and cookie reply between them.
    private struct Pair: ~Copyable {
        var checker: CookieChecker
        var latest: LatestCookie
        var random = SeededRandom(seed: 1)
        var message = [UInt8](repeating: 0, count: 148)
        var reply = [UInt8](repeating: 0, count: 64)

        init() {
            let key = PrivateKey(random: &random).publicKey
            checker = CookieChecker(publicKey: key)
            latest = LatestCookie(publicKey: key)
        }

        /// Creates a message with MACs.
        mutating func send(_ content: UInt8, at now: Instant) {
            for index in 0..<116 { message[index] = content &+ UInt8(index) }
            var message = message
            var span = message.mutableSpan
            // Bytes have no padding.
            var bytes = unsafe span.mutableBytes
            latest.addMACs(to: &bytes, now: now)
            self.message = message
        }

        mutating func answer(to source: SocketAddress, at now: Instant) {
            let message = message
            var reply = reply
            var span = reply.mutableSpan
            // Bytes have no padding.
            var bytes = unsafe span.mutableBytes
            guard let macs = MACs(of: unsafe message.span.bytes) else { return }
            checker.makeReply(
                to: macs, sender: ReceiverIndex(rawValue: 0xA1B2_C3D4), from: source, now: now,
                random: &random, into: &bytes)
            self.reply = reply
        }

        mutating func consume(at now: Instant) -> Bool {
            WireGuardTests.consume(reply, by: &latest, at: now)
        }

        func macs(from source: SocketAddress, at now: Instant) -> [Bool] {
            withMACs(message) {
                [
                    checker.hasValidMAC1($0),
                    checker.hasValidMAC2($0, from: source, now: now),
                ]
            }
        }
    }

    private static let source = SocketAddress(address: IPAddress("192.0.2.1"), port: 51820)
    private static let source6 = SocketAddress(address: IPAddress("2001:db8::1"), port: 51820)

    @Test(
        "mac1 alone, then a cookie, then mac2; a flipped bit breaks both",
        arguments: [source, source6])
    func exchange(source: SocketAddress) {
        var pair = Pair()
        for content in 1...3 as ClosedRange<UInt8> {
            pair.send(content, at: .after(1))
            expect(pair.macs(from: source, at: .after(1)), is: [true, false])
        }
        let mac2 = Array(pair.message.suffix(16))
        #expect(mac2 == [UInt8](repeating: 0, count: 16))
        pair.answer(to: source, at: .after(2))
        #expect(pair.reply.prefix(8) == [3, 0, 0, 0, 0xD4, 0xC3, 0xB2, 0xA1])
        expect(pair.consume(at: .after(2)), is: true)
        for content in 1...2 as ClosedRange<UInt8> {
            pair.send(content, at: .after(3))
            expect(pair.macs(from: source, at: .after(3)), is: [true, true])
            pair.message[5] ^= 0x20
            expect(pair.macs(from: source, at: .after(3)), is: [false, false])
            pair.message[5] ^= 0x20
            // mac2 covers mac1.
            pair.message[120] ^= 1
            expect(pair.macs(from: source, at: .after(3)), is: [false, false])
        }
    }

    @Test(
        "a cookie is valid for one address and port",
        arguments: [
            SocketAddress(address: IPAddress("192.0.2.2"), port: 51820),
            SocketAddress(address: IPAddress("192.0.2.1"), port: 51821),
            SocketAddress(address: IPAddress("::ffff:192.0.2.1"), port: 51820),
            SocketAddress(address: IPAddress("c000:201::"), port: 51820),
        ])
    func otherSource(other: SocketAddress) {
        var pair = Pair()
        pair.send(1, at: .after(1))
        pair.answer(to: Self.source, at: .after(1))
        expect(pair.consume(at: .after(1)), is: true)
        pair.send(2, at: .after(2))
        expect(pair.macs(from: Self.source, at: .after(2)), is: [true, true])
        expect(pair.macs(from: other, at: .after(2)), is: [true, false])
    }

    @Test(
        "a reply is accepted once, only for the last message, and not after the handshake was answered"
    )
    func replies() {
        var pair = Pair()
        pair.answer(to: Self.source, at: .after(1))
        expect(pair.consume(at: .after(1)), is: false, "nothing was sent")

        pair.send(1, at: .after(1))
        pair.answer(to: Self.source, at: .after(1))
        let old = pair.reply
        expect(pair.consume(at: .after(1)), is: true)
        expect(pair.consume(at: .after(1)), is: false, "a second time")

        pair.send(2, at: .after(2))
        pair.reply = old
        expect(pair.consume(at: .after(2)), is: false, "a reply to an older message")
        pair.answer(to: Self.source, at: .after(2))
        pair.latest.expectNoReply()
        expect(pair.consume(at: .after(2)), is: false, "the handshake was answered")
    }

    @Test(
        "a forged reply changes nothing, and the authentic one is still accepted",
        arguments: [0, 8, 31, 32, 47, 63])
    func forged(offset: Int) {
        var pair = Pair()
        pair.send(1, at: .after(1))
        pair.answer(to: Self.source, at: .after(1))
        // Type and index are checked elsewhere.
        if offset >= 8 {
            pair.reply[offset] ^= 1
            expect(pair.consume(at: .after(1)), is: false)
            pair.reply[offset] ^= 1
        }
        let whole = pair.reply
        for length in [0, 1, 8, 32, 63] {
            pair.reply = Array(whole.prefix(length))
            expect(pair.consume(at: .after(1)), is: false)
        }
        pair.reply = whole
        expect(pair.consume(at: .after(1)), is: true)
    }

    @Test(
        "a cookie is used for 115 s",
        arguments: [(0.0, true), (114.9, true), (115, false), (500, false)])
    func cookieLife(age: Double, isUsed: Bool) {
        var pair = Pair()
        pair.send(1, at: .after(10))
        pair.answer(to: Self.source, at: .after(10))
        expect(pair.consume(at: .after(10)), is: true)
        pair.send(2, at: .after(10 + age))
        #expect(pair.message.suffix(16).contains { $0 != 0 } == isUsed)
    }

    @Test(
        "a cookie is accepted for 5 to 125 s, depending on the age of its secret",
        arguments: [0.0, 1, 60, 115, 119, 119.9, 120, 124.9, 125, 130, 300])
    func secretLife(phase: Double) {
        var pair = Pair()
        // The first reply creates the secret.
        pair.send(1, at: .after(10))
        pair.answer(to: Self.source, at: .after(10))
        let issued = 10 + phase
        pair.send(2, at: .after(issued))
        pair.answer(to: Self.source, at: .after(issued))
        expect(pair.consume(at: .after(issued)), is: true)
        pair.send(3, at: .after(issued))
        for second in [0, 2.5, 4.9] {
            // Replies to another source renew the secret.
            let now = Instant.after(issued + second)
            pair.answer(to: Self.source6, at: now)
            expect(pair.macs(from: Self.source, at: now), is: [true, true])
        }
        expect(pair.macs(from: Self.source, at: .after(issued + 125.1)), is: [true, false])
    }

    @Test("a clock that steps back does not break cookies")
    func clockSteps() {
        var pair = Pair()
        pair.send(1, at: .after(1000))
        pair.answer(to: Self.source, at: .after(1000))
        expect(pair.consume(at: .after(1000)), is: true)
        for now in [Instant.after(0), .after(10), Instant(nanoseconds: .max)] {
            pair.send(2, at: now)
            pair.answer(to: Self.source, at: now)
            expect(pair.consume(at: now), is: true)
            expect(pair.macs(from: Self.source, at: now)[0], is: true)
        }
    }
}
