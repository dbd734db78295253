import Testing
import WireGuard

@testable import Engine

@Suite("Wake-up rate")
struct WakeUpRateTests {
    /// For `count` wake-ups at this interval, whether each counts as one of many.
    private func ofMany(_ count: Int, every milliseconds: UInt64) -> [Bool] {
        var rate = WakeUpRate()
        return (1...count).map { number in
            rate.note(
                at: ObservedInstant(
                    nanoseconds: 1_000_000_000 + UInt64(number) * milliseconds * 1_000_000))
        }
    }

    @Test(
        "the 33rd wake-up in quick succession is the first to cause a pause", arguments: [0, 1, 6])
    func close(milliseconds: UInt64) {
        #expect(ofMany(40, every: milliseconds) == (1...40).map { $0 > 32 })
    }

    @Test("wake-ups with longer intervals cause no pause", arguments: [7, 20, 1000])
    func apart(milliseconds: UInt64) {
        #expect(!ofMany(1000, every: milliseconds).contains(true))
    }

    @Test("a longer interval starts the count again")
    func ended() {
        var rate = WakeUpRate()
        let times: [UInt64] = (100...140).map { $0 } + [150] + (151...190).map { $0 }
        let found = times.map { rate.note(at: ObservedInstant(nanoseconds: $0 * 1_000_000)) }
        #expect(found[32...40].allSatisfy { $0 })
        #expect(!found[41..<41 + 32].contains(true))
        #expect(found[41 + 32])
    }
}
