/// What the clocks say: the steady one, by which the protocol runs, and the calendar's, which only
/// goes into timestamps and into "latest handshake".
public struct Moment: Sendable {
    /// CLOCK_BOOTTIME.
    public var instant: Instant
    /// CLOCK_REALTIME.
    public var wall: WallTime

    /// Makes a moment of both readings.
    public init(instant: Instant, wall: WallTime) {
        self.instant = instant
        self.wall = wall
    }
}
