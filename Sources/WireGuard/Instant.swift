/// A point in time as nanoseconds of CLOCK_BOOTTIME, which goes on while the machine sleeps.
///
/// The library never reads a clock: whoever calls it says what time it is. A clock that steps back
/// is an input like any other, so no arithmetic here traps.
public struct Instant: Hashable, Comparable, Sendable {
    /// Nanoseconds since an arbitrary start, as a rule the boot.
    public var nanoseconds: UInt64

    /// Makes an instant from nanoseconds since the start of the clock.
    @inlinable
    public init(nanoseconds: UInt64) {
        self.nanoseconds = nanoseconds
    }

    /// Whether `left` is earlier.
    @inlinable
    public static func < (left: Instant, right: Instant) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    /// The instant that lies `interval` later, the last one there is at the most.
    @inlinable
    public static func + (instant: Instant, interval: Interval) -> Instant {
        let (sum, overflow) = instant.nanoseconds.addingReportingOverflow(interval.nanoseconds)
        return Instant(nanoseconds: overflow ? .max : sum)
    }

    /// How long ago `earlier` was; zero if it lies ahead, as after a step of the clock.
    @inlinable
    public func since(_ earlier: Instant) -> Interval {
        Interval(
            nanoseconds: nanoseconds >= earlier.nanoseconds
                ? nanoseconds &- earlier.nanoseconds : 0)
    }
}

/// A length of time in nanoseconds, never negative.
public struct Interval: Hashable, Comparable, Sendable {
    /// The length in nanoseconds.
    public var nanoseconds: UInt64

    /// Makes an interval from nanoseconds.
    @inlinable
    public init(nanoseconds: UInt64) {
        self.nanoseconds = nanoseconds
    }

    /// An interval of whole seconds.
    @inlinable
    public static func seconds(_ count: UInt64) -> Interval {
        Interval(nanoseconds: count * 1_000_000_000)
    }

    /// An interval of whole milliseconds.
    @inlinable
    public static func milliseconds(_ count: UInt64) -> Interval {
        Interval(nanoseconds: count * 1_000_000)
    }

    /// Whether `left` is shorter.
    @inlinable
    public static func < (left: Interval, right: Interval) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    /// Both intervals, one after the other; the longest there is at the most.
    @inlinable
    public static func + (left: Interval, right: Interval) -> Interval {
        let (sum, overflow) = left.nanoseconds.addingReportingOverflow(right.nanoseconds)
        return Interval(nanoseconds: overflow ? .max : sum)
    }
}
