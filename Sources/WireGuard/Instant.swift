/// A point in time after ``SteadyClock``: it never goes back, even if the caller's clock does.
///
/// Key ages, timers and limits use it. Arithmetic saturates, so no input can trap.
package struct Instant: Hashable, Comparable, Sendable, BitwiseCopyable {
    /// Nanoseconds since the start of the device's time.
    package var nanoseconds: UInt64

    /// Makes an instant from nanoseconds since the start of the device's time.
    package init(nanoseconds: UInt64) {
        self.nanoseconds = nanoseconds
    }

    /// Whether `left` is earlier.
    package static func < (left: Instant, right: Instant) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    /// The instant `interval` later, or the last representable one.
    package static func + (instant: Instant, interval: Interval) -> Instant {
        let (sum, overflow) = instant.nanoseconds.addingReportingOverflow(interval.nanoseconds)
        return Instant(nanoseconds: overflow ? .max : sum)
    }

    /// The time since `earlier`, or zero if that is later.
    package func since(_ earlier: Instant) -> Interval {
        Interval(
            nanoseconds: nanoseconds >= earlier.nanoseconds
                ? nanoseconds &- earlier.nanoseconds : 0)
    }
}
