import Packets
import Testing
import WireGuard

@Suite("Handshake rate limiter")
struct HandshakeRateLimiterTests {
    @Test(
        "a burst of five, then one every 50 ms",
        arguments: ["192.0.2.1", "255.255.255.255", "2001:db8::1", "fe80::5:6", "::"])
    func burst(address: String) {
        var limiter = HandshakeRateLimiter()
        let address: IPAddress = IPAddress(address)
        let other: IPAddress = IPAddress("198.51.100.7")
        // Milliseconds, and whether the handshake is admitted then.
        let steps: [(Double, Bool)] = [
            (0, true), (0, true), (0, true), (0, true), (0, true), (0, false), (49, false),
            (50, true), (50, false), (150, true), (150, true), (150, false), (10_000, true),
            (10_000, true), (10_000, true), (10_000, true), (10_000, true), (10_000, false),
        ]
        var othersTurn = 0.0
        for (milliseconds, isAdmitted) in steps {
            expect(limiter.admits(address, now: .after(5 + milliseconds / 1000)), is: isAdmitted)
            if milliseconds >= othersTurn {
                expect(limiter.admits(other, now: .after(5 + milliseconds / 1000)), is: true)
                othersTurn = milliseconds + 50
            }
        }
    }

    @Test("at most 20 a second over ten seconds")
    func rate() {
        var limiter = HandshakeRateLimiter()
        var admitted = 0
        for millisecond in 0..<10_000 {
            let now = Instant.after(1 + Double(millisecond) / 1000)
            if limiter.admits(IPAddress("192.0.2.1"), now: now) { admitted += 1 }
        }
        #expect(205 - 1...205 ~= admitted)
    }

    @Test("a /64 is one source, the next /64 another")
    func network() {
        var limiter = HandshakeRateLimiter()
        for low in 0..<5 as Range<UInt64> {
            let address = IPAddress.v6(IPv6Address(high: 0x2001_0DB8, low: low &* 0x9E37_79B9_7F4A))
            expect(limiter.admits(address, now: .after(1)), is: true)
        }
        let same = IPAddress.v6(IPv6Address(high: 0x2001_0DB8, low: 77))
        expect(limiter.admits(same, now: .after(1)), is: false)
        let next = IPAddress.v6(IPv6Address(high: 0x2001_0DB9, low: 77))
        expect(limiter.admits(next, now: .after(1)), is: true)
        #expect(limiter.count == 2)
    }

    @Test("a /48 has 200 handshakes a second and 50 at once, however many /64s it uses")
    func site() {
        var limiter = HandshakeRateLimiter()
        var admitted = 0
        for number in 0..<20_000 as Range<UInt64> {
            let address = IPAddress.v6(
                IPv6Address(high: 0x2001_0DB8_0007_0000 | number, low: number))
            let now = Instant.after(1 + Double(number) / 10_000)
            if limiter.admits(address, now: now) { admitted += 1 }
        }
        #expect(50 + 2 * 200 - 1...50 + 2 * 200 ~= admitted)
        #expect(limiter.count <= 300, "a small part of the table")
        #expect(limiter.siteCount == 1)
        let elsewhere = IPAddress.v6(IPv6Address(high: 0x2001_0DB8_0008_0000, low: 1))
        expect(limiter.admits(elsewhere, now: .after(3)), is: true)
    }

    @Test("what the /48 refuses costs the /64 nothing, and the other way around")
    func refusedByOne() {
        var limiter = HandshakeRateLimiter()
        func address(_ network: UInt64) -> IPAddress {
            .v6(IPv6Address(high: 0x2001_0DB8_0007_0000 | network, low: 1))
        }
        // One /64 asks a hundred times: only its five handshakes are charged to the /48.
        for number in 0..<100 {
            expect(limiter.admits(address(0), now: .after(1)), is: number < 5)
        }
        for network in 1...45 as ClosedRange<UInt64> {
            expect(limiter.admits(address(network), now: .after(1)), is: true)
        }
        for _ in 0..<100 { expect(limiter.admits(address(99), now: .after(1)), is: false) }
        #expect(limiter.count == 46, "a refused /64 gets no bucket")
        // After 26 ms the /48 has five more, and the /64 that was refused has its whole burst.
        for number in 0..<6 {
            expect(limiter.admits(address(99), now: .after(1.026)), is: number < 5)
        }
    }

    @Test("at most 65 536 sources, and room again as soon as their buckets are full")
    func capacity() {
        var limiter = HandshakeRateLimiter()
        func address(_ number: Int) -> IPAddress {
            number % 2 == 0
                ? .v4(IPv4Address(bits: UInt32(number)))
                : .v6(IPv6Address(high: UInt64(number) << 16, low: 0))
        }
        for number in 0..<HandshakeRateLimiter.capacity {
            expect(limiter.admits(address(number), now: .after(1)), is: true)
        }
        #expect(limiter.count == 65_536)
        expect(limiter.admits(address(65_536), now: .after(1)), is: false)
        expect(limiter.admits(address(0), now: .after(1)), is: true, "known sources go on")
        expect(limiter.admits(address(65_536), now: .after(1.2)), is: false)
        expect(limiter.admits(address(65_536), now: .after(1.3)), is: true)
        #expect(limiter.count == 1)
        limiter.sweep(now: .after(4))
        #expect(limiter.count == 0)
    }

    @Test("a clock that steps back neither traps nor locks a source out for good")
    func clockSteps() {
        var limiter = HandshakeRateLimiter()
        let address: IPAddress = IPAddress("192.0.2.1")
        for _ in 0..<5 { expect(limiter.admits(address, now: .after(1e9)), is: true) }
        expect(limiter.admits(address, now: .after(1e9)), is: false)
        expect(limiter.admits(address, now: .after(2)), is: true)
        for now in [Instant(nanoseconds: .max), Instant(nanoseconds: 0), Instant.after(3)] {
            _ = limiter.admits(address, now: now)
        }
        expect(limiter.admits(address, now: .after(30)), is: true)
    }
}

@Suite("Load detector")
struct LoadDetectorTests {
    @Test("load starts at one eighth of the queue and lasts one second longer")
    func afterglow() {
        var detector = LoadDetector()
        // Seconds, queued messages of 4096, and whether that is load.
        let steps: [(Double, Int, Bool)] = [
            (1, 0, false), (2, 511, false), (3, 512, true), (3.5, 0, true), (3.99, 511, true),
            (4.0, 0, false), (4.1, 0, false), (5, 4096, true), (5.9, 600, true), (6.8, 0, true),
            (6.95, 0, false), (1e9, 511, false), (1e9, 512, true), (3, 0, false), (1e9, 0, false),
        ]
        for (seconds, queued, isLoad) in steps {
            expect(
                detector.isUnderLoad(queued: queued, capacity: 4096, now: .after(seconds)),
                is: isLoad, "at \(seconds) s")
        }
    }

    @Test("an empty queue is never load, whatever its capacity", arguments: [0, 1, 7, 8])
    func shortQueue(capacity: Int) {
        var detector = LoadDetector()
        expect(detector.isUnderLoad(queued: 0, capacity: capacity, now: .after(1)), is: false)
        expect(detector.isUnderLoad(queued: 1, capacity: capacity, now: .after(1)), is: true)
    }
}
