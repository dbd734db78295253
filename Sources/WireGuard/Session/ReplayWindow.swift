/// The received counters of a session: an anti-replay window without bit shifts (RFC 6479).
///
/// The bits are a ring of words. When the highest counter moves to a later word, the words up to it
/// are cleared. The word of the highest counter is only partly used, so the window is one word shorter
/// than the ring.
///
/// Pass only counters of authentic messages: a forged one would move the window.
package struct ReplayWindow: Sendable {
    private typealias Words = InlineArray<128, UInt64>
    private var words = Words(repeating: 0)
    /// One more than the highest accepted counter; 0 before the first.
    private var next: UInt64 = 0

    /// The result for a counter.
    package enum Verdict: Sendable {
        /// The counter is new.
        case accepted
        /// The counter was accepted before.
        case duplicate
        /// The counter is behind the window: it may have been accepted before.
        case tooOld
        /// The counter is Reject-After-Messages or greater.
        case beyondLimit
    }

    /// Creates a window that accepted no counter.
    package init() {}

    /// Checks a counter, and records it if it is new.
    package mutating func accept(_ counter: UInt64) -> Verdict {
        guard counter < Constants.rejectAfterMessages else { return .beyondLimit }
        // One higher, so that `next` is 0 before the first. No sum overflows below the limit.
        let number = counter &+ 1
        guard number &+ Self.size >= next else { return .tooOld }
        if number > next {
            let current = next / Self.wordSize
            let passed = min(number / Self.wordSize &- current, UInt64(Words.count))
            for offset in 0..<passed { words[Self.index(current &+ 1 &+ offset)] = 0 }
            next = number
        }
        let index = Self.index(number / Self.wordSize)
        let bit: UInt64 = 1 << (number % Self.wordSize)
        guard words[index] & bit == 0 else { return .duplicate }
        words[index] |= bit
        return .accepted
    }

    private static func index(_ word: UInt64) -> Int {
        Int(truncatingIfNeeded: word % UInt64(Words.count))
    }

    private static let wordSize = UInt64(UInt64.bitWidth)
    /// How far behind the highest counter an accepted one may be: 8192 − 64.
    package static let size = (UInt64(Words.count) - 1) * wordSize
}
