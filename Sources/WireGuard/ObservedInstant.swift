/// A reading of the caller's monotonic clock, in nanoseconds since an arbitrary start.
///
/// The library reads no clock: the caller passes the time to each call. Use a clock that continues
/// while the machine sleeps, such as `CLOCK_BOOTTIME` on Linux; otherwise keys outlive their limits by
/// the time spent asleep. The clock may step back: a device then continues from its last time.
/// Arithmetic saturates, so no reading can trap.
public struct ObservedInstant: Hashable, Comparable, Sendable, BitwiseCopyable {
    /// Nanoseconds since the start of the clock, usually the boot.
    public var nanoseconds: UInt64

    /// Makes a reading from nanoseconds since the start of the clock.
    @inlinable
    public init(nanoseconds: UInt64) {
        self.nanoseconds = nanoseconds
    }

    /// Whether `left` is earlier.
    @inlinable
    public static func < (left: ObservedInstant, right: ObservedInstant) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    /// The reading `interval` later, or the last representable one.
    @inlinable
    public static func + (instant: ObservedInstant, interval: Interval) -> ObservedInstant {
        let (sum, overflow) = instant.nanoseconds.addingReportingOverflow(interval.nanoseconds)
        return ObservedInstant(nanoseconds: overflow ? .max : sum)
    }

    /// The time since `earlier`, or zero if that is later, as after a step of the clock.
    @inlinable
    public func since(_ earlier: ObservedInstant) -> Interval {
        Interval(
            nanoseconds: nanoseconds >= earlier.nanoseconds
                ? nanoseconds &- earlier.nanoseconds : 0)
    }
}
