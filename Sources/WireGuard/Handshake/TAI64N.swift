import Packets

/// The timestamp of an initiation: seconds and nanoseconds of TAI, 12 bytes in network byte order.
///
/// The responder only compares it with the one before. Its nanoseconds are whitened, that is cut to
/// steps of 2^24 ns or 16.8 ms, so that it tells little about the clock of the machine.
package struct TAI64N: Hashable, Comparable, Sendable {
    private var seconds: UInt64
    private var nanoseconds: UInt32

    /// The number of bytes.
    package static let byteCount = 12

    /// The stamp of a wall time. What lies before 1970 is taken for 1970, and nanoseconds from 10^9
    /// on for the last ones below.
    package init(_ time: WallTime) {
        seconds = Self.base &+ UInt64(max(time.seconds, 0))
        nanoseconds = min(time.nanoseconds, 999_999_999) & ~(Self.step - 1)
    }

    /// Any 12 bytes from `offset` on; they have to be there.
    package init(_ bytes: RawSpan, at offset: Int = 0) {
        seconds = bytes.loadBigEndian(at: offset, as: UInt64.self)
        nanoseconds = bytes.loadBigEndian(at: offset + 8, as: UInt32.self)
    }

    /// Writes the 12 bytes from `offset` on; they have to be there.
    package func store(to bytes: inout MutableRawSpan, at offset: Int = 0) {
        bytes.store(bigEndian: seconds, at: offset)
        bytes.store(bigEndian: nanoseconds, at: offset + 8)
    }

    package static func < (left: TAI64N, right: TAI64N) -> Bool {
        (left.seconds, left.nanoseconds) < (right.seconds, right.nanoseconds)
    }

    /// The next whitened stamp, or the last one there is.
    fileprivate var successor: TAI64N {
        var stamp = self
        stamp.nanoseconds = (nanoseconds & ~(Self.step - 1)) &+ Self.step
        if stamp.nanoseconds >= 1_000_000_000 || stamp.nanoseconds < nanoseconds {
            stamp.nanoseconds = 0
            let (next, overflow) = seconds.addingReportingOverflow(1)
            guard !overflow else { return self }
            stamp.seconds = next
        }
        return stamp
    }

    /// 2^62 is 1970 by the definition of TAI64, which was ten seconds ahead of UTC.
    private static let base: UInt64 = 0x4000_0000_0000_000A
    private static let step: UInt32 = 1 << 24
}

/// The stamps that this side sent to one peer, each after the one before, whatever the clock does.
///
/// A responder refuses a stamp that does not grow. A clock that was stepped back would silence the
/// initiator for as long as the step; so its stamps go on from the last one in the smallest steps
/// until the clock has caught up.
package struct InitiationTimestamps: Sendable {
    /// The last stamp; a later start may go on from it.
    package private(set) var last: TAI64N?

    /// Makes a run of stamps that begins after `last`.
    package init(after last: TAI64N? = nil) {
        self.last = last
    }

    /// The stamp for an initiation that is sent at a wall time.
    package mutating func next(at time: WallTime) -> TAI64N {
        var stamp = TAI64N(time)
        if let last, stamp <= last { stamp = last.successor }
        last = stamp
        return stamp
    }
}
