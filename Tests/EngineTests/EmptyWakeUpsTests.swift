import Testing

@testable import Engine

@Suite("Empty wake-ups")
struct EmptyWakeUpsTests {
    /// The number of pauses of a thread with `count` empty wake-ups at this interval.
    private func rests(_ count: Int, every microseconds: UInt64, endingEvery end: Int? = nil) -> Int
    {
        var empty = EmptyWakeUps()
        var now: UInt64 = 1_000_000_000
        var rests = 0
        for index in 0..<count {
            now += microseconds * 1000
            if let end, index % end == 0 { empty.end() }
            if empty.note(clock: { now }) { rests += 1 }
        }
        return rests
    }

    @Test(
        "a busy loop pauses, once per 100 wake-ups", arguments: [0, 1, 5, 40] as [UInt64])
    func spinning(microseconds: UInt64) {
        #expect(rests(1000, every: microseconds) == 10)
        #expect(rests(99, every: microseconds) == 0)
    }

    @Test(
        "discarded datagrams cause no pause, regardless of their number",
        arguments: [41, 100, 1000, 1_000_000] as [UInt64])
    func datagrams(microseconds: UInt64) {
        #expect(rests(100_000, every: microseconds) == 0)
    }

    @Test("a thread that finds work in between does not pause")
    func busy() {
        #expect(rests(100_000, every: 1, endingEvery: 99) == 0)
        #expect(rests(100_000, every: 1, endingEvery: 100) > 0)
    }

    @Test("a clock that steps back causes no pause")
    func backwards() {
        var empty = EmptyWakeUps()
        var now: UInt64 = 1_000_000
        for _ in 0..<1000 {
            now -= 1000
            let rests = empty.note(clock: { now })
            #expect(!rests)
        }
    }

    @Test("the clock is read twice per 100 wake-ups")
    func clock() {
        var empty = EmptyWakeUps()
        var reads = 0
        for _ in 0..<1000 {
            _ = empty.note(clock: {
                reads += 1
                return UInt64(reads)
            })
        }
        #expect(reads == 20)
    }
}
