import Testing
import WireGuard

private let size: UInt64 = 8128
private let limit: UInt64 = .max - 1 << 13

@Suite("Replay window")
struct ReplayWindowTests {
    @Test("the numbered steps of the kernel's self-test")
    func numberedSteps() {
        let l = size + 1
        let steps: [(counter: UInt64, verdict: ReplayWindow.Verdict)] = [
            (0, .accepted), (1, .accepted), (1, .duplicate), (9, .accepted), (8, .accepted),
            (7, .accepted), (7, .duplicate), (l, .accepted), (l - 1, .accepted),
            (l - 1, .duplicate), (l - 2, .accepted), (2, .accepted), (2, .duplicate),
            (l + 16, .accepted), (3, .tooOld), (l + 16, .duplicate), (4 * l, .accepted),
            (4 * l - (l - 1), .accepted), (10, .tooOld), (4 * l - l, .tooOld),
            (4 * l - (l + 1), .tooOld), (4 * l - (l - 2), .accepted), (4 * l + 1 - l, .duplicate),
            (0, .tooOld), (limit, .beyondLimit), (limit - 1, .accepted), (limit, .beyondLimit),
            (limit - 1, .duplicate), (limit - 2, .accepted), (limit + 1, .beyondLimit),
            (limit + 2, .beyondLimit), (limit - 2, .duplicate), (limit - 3, .accepted),
            (0, .tooOld),
        ]
        var window = ReplayWindow()
        for (number, step) in steps.enumerated() {
            expect(window.accept(step.counter), is: step.verdict, "step \(number + 1)")
        }
        #expect(steps.count == 34)
    }

    /// Counters that must be accepted, then verdicts on more counters.
    @Test(
        "six sweeps over the whole window",
        arguments: [
            (Array(1...size), [(0, .accepted), (0, .duplicate)]),
            (Array(2...size + 1), [(1, .accepted), (0, .tooOld)]),
            (Array((0...size).reversed()), []),
            (Array((1...size + 1).reversed()), [(0, .tooOld)]),
            (Array((1...size).reversed()), [(size + 1, .accepted), (0, .tooOld)]),
            (Array((1...size).reversed()), [(0, .accepted), (size + 1, .accepted)]),
        ] as [([UInt64], [(UInt64, ReplayWindow.Verdict)])])
    func sweeps(counters: [UInt64], then: [(UInt64, ReplayWindow.Verdict)]) {
        var window = ReplayWindow()
        for counter in counters { expect(window.accept(counter), is: .accepted) }
        for (counter, verdict) in then { expect(window.accept(counter), is: verdict) }
        for counter in counters.suffix(100) {
            expect(window.accept(counter) == .accepted, is: false)
        }
    }

    @Test("counters are accepted once; after a jump, those behind the window are too old")
    func jump() {
        let ring: UInt64 = 8192
        var window = ReplayWindow()
        for counter in 64...ring + 127 {
            expect(window.accept(counter), is: .accepted)
            expect(window.accept(counter), is: .duplicate)
        }
        expect(window.accept(3 * ring), is: .accepted)
        for counter in 0..<3 * ring - size { expect(window.accept(counter), is: .tooOld) }
        for counter in (3 * ring - size..<3 * ring).reversed() {
            expect(window.accept(counter), is: .accepted)
        }
        for counter in 3 * ring - size...3 * ring {
            expect(window.accept(counter), is: .duplicate)
        }
    }

    @Test("no counter overflows or causes a long loop")
    func extremes() {
        var window = ReplayWindow()
        expect(window.accept(.max), is: .beyondLimit)
        expect(window.accept(0), is: .accepted)
        for exponent in 0..<64 as Range<UInt64> {
            let counter: UInt64 = 1 << exponent
            expect(window.accept(counter), is: .accepted)
            expect(window.accept(counter), is: .duplicate)
        }
        expect(window.accept(0), is: .tooOld)
        expect(window.accept(limit - 1), is: .accepted)
        for counter in [limit, limit + 1, .max - 1, .max] {
            expect(window.accept(counter), is: .beyondLimit)
        }
        expect(window.accept(1 << 63), is: .tooOld)
        expect(window.accept(limit - 1), is: .duplicate)
        // A million jumps over half of all counters, each from a new window: bounded work for each.
        for _ in 0..<scaled(release: 1_000_000, debug: 1_000) {
            var window = ReplayWindow()
            _ = window.accept(1 << 63)
        }
        #expect(limit == 0xFFFF_FFFF_FFFF_DFFF)
    }

    @Test("random counters against a set", arguments: 1...4 as ClosedRange<UInt64>)
    func model(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var window = ReplayWindow()
        var seen: Set<UInt64> = []
        var highest: UInt64 = 0
        for step in 0..<scaled(release: 2_500_000, debug: 50_000) {
            let counter: UInt64
            switch UInt64.random(in: 0..<1000, using: &generator) {
            case 0: counter = highest + .random(in: 0...3 * size, using: &generator)
            case 1..<500: counter = highest + .random(in: 0...40, using: &generator)
            default:
                let back = UInt64.random(in: 0...size + 20, using: &generator)
                counter = highest >= back ? highest - back : 0
            }
            let expected: ReplayWindow.Verdict =
                counter + size < highest
                ? .tooOld : seen.contains(counter) ? .duplicate : .accepted
            expect(window.accept(counter), is: expected, "step \(step)")
            if expected == .accepted { seen.insert(counter) }
            highest = max(highest, counter)
            if seen.count > 4 * Int(size) { seen = seen.filter { $0 + size >= highest } }
        }
    }
}
