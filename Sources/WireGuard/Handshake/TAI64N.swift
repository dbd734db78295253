import Packets

/// The timestamp of an initiation: TAI seconds and nanoseconds, 12 bytes in network byte order.
///
/// A responder only compares timestamps. The nanoseconds are rounded down to multiples of 2^24 (16.8
/// ms), so that a timestamp reveals little about the machine's clock.
package struct TAI64N: Hashable, Comparable, Sendable {
    private var seconds: UInt64
    private var nanoseconds: UInt32

    /// The number of bytes.
    package static let byteCount = 12

    /// The timestamp of a wall time. Clamps times before 1970 to 1970, and nanoseconds to 999 999 999.
    package init(_ time: WallTime) {
        seconds = Self.base &+ UInt64(max(time.seconds, 0))
        nanoseconds = min(time.nanoseconds, 999_999_999) & ~(Self.step - 1)
    }

    /// Loads the 12 bytes from `offset` on; any value is valid.
    ///
    /// - Precondition: `bytes` has these bytes.
    package init(_ bytes: RawSpan, at offset: Int = 0) {
        seconds = bytes.loadBigEndian(at: offset, as: UInt64.self)
        nanoseconds = bytes.loadBigEndian(at: offset + 8, as: UInt32.self)
    }

    /// Stores the 12 bytes from `offset` on.
    ///
    /// - Precondition: `bytes` has these bytes.
    package func store(to bytes: inout MutableRawSpan, at offset: Int = 0) {
        bytes.store(bigEndian: seconds, at: offset)
        bytes.store(bigEndian: nanoseconds, at: offset + 8)
    }

    package static func < (left: TAI64N, right: TAI64N) -> Bool {
        (left.seconds, left.nanoseconds) < (right.seconds, right.nanoseconds)
    }

    /// The next rounded timestamp; the greatest timestamp is its own successor.
    fileprivate var successor: TAI64N {
        var timestamp = self
        timestamp.nanoseconds = (nanoseconds & ~(Self.step - 1)) &+ Self.step
        if timestamp.nanoseconds >= 1_000_000_000 || timestamp.nanoseconds < nanoseconds {
            timestamp.nanoseconds = 0
            let (next, overflow) = seconds.addingReportingOverflow(1)
            guard !overflow else { return self }
            timestamp.seconds = next
        }
        return timestamp
    }

    /// TAI64 defines 2^62 as 1970 TAI; TAI was 10 s ahead of UTC.
    private static let base: UInt64 = 0x4000_0000_0000_000A
    private static let step: UInt32 = 1 << 24
}

/// The timestamps sent to one peer. They always grow, even if the clock steps back.
///
/// A responder rejects a timestamp that does not grow, so a clock step would block handshakes for the
/// length of the step. After a step, the timestamps continue from the last one in the smallest possible
/// steps until the clock catches up.
package struct InitiationTimestamps: Sendable {
    /// The last timestamp.
    package private(set) var last: TAI64N?

    /// Creates a sequence of timestamps greater than `last`.
    package init(after last: TAI64N? = nil) {
        self.last = last
    }

    /// The timestamp for an initiation that is sent now.
    package mutating func next(at time: WallTime) -> TAI64N {
        var timestamp = TAI64N(time)
        if let last, timestamp <= last { timestamp = last.successor }
        last = timestamp
        return timestamp
    }
}
