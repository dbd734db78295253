/// A time of the calendar clock, for the timestamps of handshakes and for display.
///
/// The clock may step in either direction, so no interval is measured with it.
public struct WallTime: Hashable, Comparable, Sendable {
    /// Unix time: whole seconds since 1970-01-01 00:00 UTC, without leap seconds.
    public var seconds: Int64
    /// The rest in nanoseconds, less than 10^9.
    public var nanoseconds: UInt32

    /// Makes a time from Unix seconds and nanoseconds.
    @inlinable
    public init(seconds: Int64, nanoseconds: UInt32) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    /// Whether `left` is earlier.
    @inlinable
    public static func < (left: WallTime, right: WallTime) -> Bool {
        (left.seconds, left.nanoseconds) < (right.seconds, right.nanoseconds)
    }
}
