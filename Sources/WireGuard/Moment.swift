/// What the clocks say: the steady one, by which the protocol runs, and the calendar's, which only
/// goes into timestamps and into "latest handshake".
public struct Moment: Sendable {
    /// CLOCK_BOOTTIME.
    public var instant: Instant
    /// CLOCK_REALTIME.
    public var unix: UnixTime

    /// Makes a moment of both readings.
    public init(instant: Instant, unix: UnixTime) {
        self.instant = instant
        self.unix = unix
    }
}

/// A calendar time: seconds and nanoseconds since 1970-01-01 00:00 UTC.
public struct UnixTime: Hashable, Sendable {
    /// Whole seconds.
    public var seconds: UInt64
    /// Nanoseconds beyond them, below 1 000 000 000.
    public var nanoseconds: UInt32

    /// Makes a calendar time.
    public init(seconds: UInt64, nanoseconds: UInt32 = 0) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }
}
