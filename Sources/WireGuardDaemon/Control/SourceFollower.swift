import WireGuard

/// Decides when cached sources are checked again after an event of the host's routes: at once, and then
/// once per interval. A program that changes routes all the time causes a limited number of checks.
struct SourceFollower {
    private var hasEvent = false
    private var nextAllowed: ObservedInstant?

    /// The maximum interval between checks.
    static let maximumInterval = Interval.milliseconds(20)

    /// The minimum interval between checks of this many peers. A look-up takes about 4 µs, so look-ups take at
    /// most a fifth of the time.
    static func interval(peers: Int) -> Interval {
        Interval(nanoseconds: UInt64(clamping: min(peers, 1000)) * 20_000)
    }

    /// Notes that routes may have changed.
    mutating func noteEvent() {
        hasEvent = true
    }

    /// Whether to check `peers` peers now.
    mutating func isCheckDue(now: ObservedInstant, peers: Int) -> Bool {
        guard hasEvent else { return false }
        // Further away only if the clock was set back.
        if let nextAllowed, now < nextAllowed, nextAllowed.since(now) <= Self.maximumInterval {
            return false
        }
        hasEvent = false
        nextAllowed = now + Self.interval(peers: peers)
        return true
    }

    /// When a check is due; nil if there was no event.
    var nextCheck: ObservedInstant? { hasEvent ? nextAllowed : nil }
}
