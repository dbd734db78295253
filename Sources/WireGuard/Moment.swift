/// The time that a caller passes to a ``Tunnel``: a reading of each of its two clocks.
///
/// All intervals of the protocol are measured with `instant`. `wall` is used only in the timestamps of
/// handshakes and in the time of the latest handshake. On Linux:
///
///     func now() -> Moment {
///         var boot = timespec(), real = timespec()
///         clock_gettime(CLOCK_BOOTTIME, &boot)
///         clock_gettime(CLOCK_REALTIME, &real)
///         return Moment(
///             instant: ObservedInstant(
///                 nanoseconds: UInt64(boot.tv_sec) * 1_000_000_000 + UInt64(boot.tv_nsec)),
///             wall: WallTime(seconds: Int64(real.tv_sec), nanoseconds: UInt32(real.tv_nsec)))
///     }
public struct Moment: Sendable {
    /// The monotonic clock, `CLOCK_BOOTTIME` on Linux.
    public var instant: ObservedInstant
    /// The calendar clock, `CLOCK_REALTIME` on Linux.
    public var wall: WallTime

    /// Makes a moment from the readings of both clocks.
    public init(instant: ObservedInstant, wall: WallTime) {
        self.instant = instant
        self.wall = wall
    }
}

/// A ``Moment`` after ``SteadyClock``: what the control thread works with.
struct SteadyMoment: Sendable {
    var instant: Instant
    var wall: WallTime
}
