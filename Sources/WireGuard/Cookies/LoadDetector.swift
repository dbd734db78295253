/// Whether handshakes come in faster than they are worked off: while their queue is filled to an
/// eighth or more, and for one second after.
package struct LoadDetector: Sendable {
    private var lastUnderLoad: Instant?
    /// Always under load, for tests.
    package var isForced = false

    /// A detector that has seen no load.
    package init() {}

    /// Whether we are under load, with `queued` of `capacity` places of the queue taken now.
    package mutating func isUnderLoad(queued: Int, capacity: Int, now: Instant) -> Bool {
        if isForced || queued >= max(capacity / 8, 1) {
            lastUnderLoad = now
            return true
        }
        guard let last = lastUnderLoad, now >= last, now.since(last) < Self.afterglow else {
            lastUnderLoad = nil
            return false
        }
        return true
    }

    /// For how long load lasts after the queue has emptied.
    package static let afterglow = Interval.seconds(1)
}
