import WireGuard

/// Detects that the control thread is woken so often that it should wait a moment and handle several
/// wake-ups at once: each wake-up costs a tenth of the work that follows it.
package struct WakeUpRate {
    private var last = ObservedInstant(nanoseconds: 0)
    private var inARow = 0

    /// How long to wait.
    package static let pauseMilliseconds = 2
    /// Wake-ups at most this far apart count as one series. A single peer that sets up a session
    /// causes only a few, and is not delayed.
    private static let spacing = Interval.milliseconds(6)
    private static let limit = 32

    package init() {}

    /// Counts a wake-up.
    ///
    /// - Returns: whether the control thread should wait before it handles this wake-up.
    package mutating func note(at now: ObservedInstant) -> Bool {
        inARow = now.since(last) <= Self.spacing ? inARow &+ 1 : 0
        last = now
        return inARow >= Self.limit
    }
}
