import WireGuard

/// Decides when cached sources are checked again after an event of the host's routes: at once, and then
/// once per interval. A program that changes routes all the time causes a limited number of checks.
struct SourceFollower {
    private var hasEvent = false
    private var nextAllowed: ObservedInstant?

    static let interval = Interval.milliseconds(20)

    /// Notes that routes may have changed.
    mutating func noteEvent() {
        hasEvent = true
    }

    /// Whether to check now. True at most once per interval.
    mutating func isCheckDue(now: ObservedInstant) -> Bool {
        guard hasEvent else { return false }
        if let nextAllowed, now < nextAllowed { return false }
        hasEvent = false
        nextAllowed = now + Self.interval
        return true
    }

    /// When a check is due; nil if there was no event.
    var nextCheck: ObservedInstant? { hasEvent ? nextAllowed : nil }
}
