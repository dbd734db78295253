import Packets
import Testing
import WireGuard

@Suite("TAI64N")
struct TAI64NTests {
    private static let start = WallTime(seconds: 1_700_000_000, nanoseconds: 123_456_789)

    @Test("a timestamp is 12 bytes: seconds from 2^62 + 10, and rounded nanoseconds")
    func bytes() {
        var storage = [UInt8](repeating: 0xEE, count: 14)
        var span = storage.mutableSpan
        // Bytes have no padding.
        var bytes = unsafe span.mutableBytes
        TAI64N(Self.start).store(to: &bytes, at: 1)
        // 1 700 000 010 is 0x6553F10A; 123 456 789 is 0x075BCD15.
        let expected: [UInt8] = [
            0xEE, 0x40, 0, 0, 0, 0x65, 0x53, 0xF1, 0x0A, 0x07, 0, 0, 0, 0xEE,
        ]
        #expect(storage == expected)
        let read = withBytes(storage) { TAI64N($0, at: 1) }
        #expect(read == TAI64N(Self.start))
        #expect(TAI64N.byteCount == 12)
    }

    @Test(
        "differences below a rounding step vanish, larger ones stay",
        arguments: [
            (10, false), (10_000, false), (1_000_000, false), (10_000_000, false),
            (20_000_000, true), (900_000_000, true),
        ])
    func whitening(nanoseconds: UInt32, isAfter: Bool) {
        let start = WallTime(seconds: 1_700_000_000, nanoseconds: 2 << 24)
        var later = start
        later.nanoseconds += nanoseconds
        #expect((TAI64N(later) > TAI64N(start)) == isAfter)
        #expect(!(TAI64N(start) > TAI64N(later)))
    }

    @Test("seconds outweigh nanoseconds, and any 12 bytes compare as memcmp does")
    func order() {
        var generator = SeededGenerator(seed: 9)
        for _ in 0..<1000 {
            let left = (0..<12).map { _ in UInt8.random(in: 0...1, using: &generator) &* 255 }
            let right = (0..<12).map { _ in UInt8.random(in: 0...1, using: &generator) &* 255 }
            let isLess = withBytes(left) { left in
                withBytes(right) { right in TAI64N(left) < TAI64N(right) }
            }
            #expect(isLess == left.lexicographicallyPrecedes(right))
        }
    }

    @Test(
        "no wall time traps",
        arguments: [
            (Int64.min, 0), (-1, 5), (0, 0), (0, .max), (Int64.max, 999_999_999), (Int64.max, .max),
        ] as [(Int64, UInt32)])
    func extremes(seconds: Int64, nanoseconds: UInt32) {
        let time = WallTime(seconds: seconds, nanoseconds: nanoseconds)
        #expect(TAI64N(time) >= TAI64N(WallTime(seconds: 0, nanoseconds: 0)))
        var stamps = InitiationTimestamps()
        let first = stamps.next(at: time)
        expect(stamps.next(at: time) > first, is: true)
    }

    @Test(
        "timestamps always grow, even if the clock steps back",
        arguments: [[0, 0, 0], [0, -10, -9], [0, -31_536_000, 31_536_000], [5, 4, 3, 2, 1]])
    func monotonic(steps: [Int64]) {
        var stamps = InitiationTimestamps()
        var last: TAI64N?
        for step in steps {
            for _ in 0..<100 {
                let time = WallTime(
                    seconds: Self.start.seconds + step, nanoseconds: Self.start.nanoseconds)
                let stamp = stamps.next(at: time)
                if let last { #expect(stamp > last) }
                #expect(stamp >= TAI64N(time))
                last = stamp
            }
        }
        #expect(stamps.last == last)
    }

    @Test("timestamps continue after a given one, and the greatest one does not trap")
    func floor() {
        var ahead = InitiationTimestamps()
        let floor = ahead.next(at: WallTime(seconds: 2_000_000_000, nanoseconds: 0))
        var stamps = InitiationTimestamps(after: floor)
        expect(stamps.next(at: Self.start) > floor, is: true)
        let highest = withBytes([UInt8](repeating: 0xFF, count: 12)) { TAI64N($0) }
        var stuck = InitiationTimestamps(after: highest)
        expect(stuck.next(at: Self.start), is: highest)
    }
}
