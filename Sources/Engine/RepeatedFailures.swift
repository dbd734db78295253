import WireGuard

/// Consecutive failures of one system call. They neither end the thread nor let it loop at full
/// speed, and are logged once in ten seconds.
struct RepeatedFailures: Sendable {
    private var inARow = 0
    private var quietUntil = ObservedInstant(nanoseconds: 0)

    /// How to react to a failure.
    struct Reaction: Equatable {
        var isReported: Bool
        var pauses: Bool
    }

    private static let quietTime = Interval.seconds(10)
    /// Failures without a pause. The pause that follows each further one is ``pauseNanoseconds``.
    private static let unpaused = 10
    static let pauseNanoseconds = 10_000_000

    /// The call succeeded.
    mutating func end() {
        inARow = 0
    }

    /// The call failed.
    mutating func note(at now: ObservedInstant) -> Reaction {
        let isReported = now >= quietUntil
        if isReported { quietUntil = now + Self.quietTime }
        inARow = min(inARow + 1, Self.unpaused + 1)
        return Reaction(isReported: isReported, pauses: inARow > Self.unpaused)
    }
}
