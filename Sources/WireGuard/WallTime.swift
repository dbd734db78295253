/// A time of the wall clock: what handshakes are stamped with and what people are shown. It may step
/// either way, so no interval is ever taken from it.
public struct WallTime: Hashable, Comparable, Sendable {
    /// Whole seconds since 1970-01-01 00:00 UTC, as Unix counts them.
    public var seconds: Int64
    /// The rest in nanoseconds, below 10^9.
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
