/// Detects load: the queue of handshake messages is at least one eighth full, or was less than a
/// second ago.
package struct LoadDetector: Sendable {
    private var lastUnderLoad: Instant?
    /// Reports load always; for tests.
    package var isForced = false

    /// Creates a detector that is not under load.
    package init() {}

    /// Whether the device is under load, with `queued` messages in a queue for `capacity`.
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

    /// How long load lasts after the queue has drained.
    package static let afterglow = Interval.seconds(1)
}
