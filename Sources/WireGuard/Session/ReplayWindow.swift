/// Which counters of a session have been seen: an anti-replay window without bit shifts (RFC 6479).
///
/// The bits are a ring of words. The word of the highest counter is filled as it goes; the words
/// that a jump passes are cleared, the whole ring at the most. One word is always being filled, so
/// the window that may be relied upon is one word shorter than the ring.
///
/// A counter is shown to it only after its packet proved authentic: a forged one would move the
/// window on.
package struct ReplayWindow: Sendable {
    private var words = InlineArray<128, UInt64>(repeating: 0)
    /// One more than the highest counter seen; 0 before the first.
    private var next: UInt64 = 0

    /// What became of a counter.
    package enum Verdict: Sendable {
        /// It is new: the packet is good.
        case accepted
        /// It was seen before.
        case duplicate
        /// It lies behind the window, so nobody knows.
        case tooOld
        /// It is Reject-After-Messages or more: the session is over.
        case beyondLimit
    }

    /// A window that has seen nothing.
    package init() {}

    /// Judges a counter, and notes it if it is new.
    package mutating func accept(_ counter: UInt64) -> Verdict {
        guard counter < Constants.rejectAfterMessages else { return .beyondLimit }
        // One higher, so that 0 is none that was seen. Neither sum can overflow below the limit.
        let number = counter &+ 1
        guard number &+ Self.size >= next else { return .tooOld }
        if number > next {
            let current = next / Self.wordSize
            let passed = min(number / Self.wordSize &- current, UInt64(words.count))
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
        Int(truncatingIfNeeded: word % 128)
    }

    /// How far behind the highest counter another may be: 8128 numbers.
    package static let size: UInt64 = 8192 - 64
    private static let wordSize: UInt64 = 64
}
