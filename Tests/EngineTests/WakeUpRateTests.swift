import Testing
import WireGuard

@testable import Engine

@Suite("The rhythm of the wakeUp")
struct WakeUpRateTests {
    /// Which of so many rings, each so many milliseconds after the one before, are of many.
    private func ofMany(_ count: Int, every milliseconds: UInt64) -> [Bool] {
        var rhythm = WakeUpRate()
        return (1...count).map { ring in
            rhythm.note(
                at: ObservedInstant(
                    nanoseconds: 1_000_000_000 + UInt64(ring) * milliseconds * 1_000_000))
        }
    }

    @Test(
        "from the thirty-third on, close rings are of many", arguments: [0, 1, 6])
    func close(milliseconds: UInt64) {
        #expect(ofMany(40, every: milliseconds) == (1...40).map { $0 > 32 })
    }

    @Test("rings with a pause between them never are", arguments: [7, 20, 1000])
    func apart(milliseconds: UInt64) {
        #expect(!ofMany(1000, every: milliseconds).contains(true))
    }

    @Test("a pause ends them, and they have to be as many again")
    func ended() {
        var rhythm = WakeUpRate()
        let rings: [UInt64] = (100...140).map { $0 } + [150] + (151...190).map { $0 }
        let found = rings.map { rhythm.note(at: ObservedInstant(nanoseconds: $0 * 1_000_000)) }
        #expect(found[32...40].allSatisfy { $0 })
        #expect(!found[41..<41 + 32].contains(true))
        #expect(found[41 + 32])
    }
}
