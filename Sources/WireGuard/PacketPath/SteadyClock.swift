import Synchronization

/// Turns readings of a caller's clock into one time for all threads of a device, which never goes back.
///
/// If the clock is set back by more than a second, the time continues from where it was, so that no key
/// lives longer and no timer waits for the old time.
///
/// A late reading is not a clock step: other threads may have got later times since a slow thread read
/// its clock. A step is one thread reading an earlier time than it got before.
///
/// If a thread passes a reading from before a step after another thread has noticed that step, the step
/// may be counted twice. The time then runs ahead by the step; it still never goes back. The daemon's
/// clock has no such steps.
struct SteadyClock: ~Copyable, Sendable {
    private let latest = Atomic<UInt64>(0)
    private let setBack = Atomic<UInt64>(0)

    /// The last reading of one thread, and the time that it got.
    struct Reader: Sendable {
        fileprivate var observed = ObservedInstant(nanoseconds: 0)
        fileprivate var last: UInt64 = 0
    }

    /// The device's time at a reading of the clock by the thread of `reader`.
    func time(at observed: ObservedInstant, for reader: inout Reader) -> Instant {
        let offset = setBack.load(ordering: .relaxed)
        let now = Instant(nanoseconds: observed.nanoseconds) + Interval(nanoseconds: offset)
        let last = max(latest.load(ordering: .relaxed), reader.last)
        let isReadAgain = observed != reader.observed
        reader.observed = observed
        guard now.nanoseconds < last else {
            latest.store(now.nanoseconds, ordering: .relaxed)
            reader.last = now.nanoseconds
            return now
        }
        // Below a second it may be a difference between the clocks of two processors.
        if isReadAgain, now + .seconds(1) < Instant(nanoseconds: reader.last) {
            // Two threads may notice the same step, which must be added once.
            _ = setBack.compareExchange(
                expected: offset, desired: offset &+ (last - now.nanoseconds), ordering: .relaxed)
        }
        reader.last = last
        return Instant(nanoseconds: last)
    }

    /// The reading of the caller's clock at a time of the device.
    func reading(at instant: Instant) -> ObservedInstant {
        let offset = setBack.load(ordering: .relaxed)
        return ObservedInstant(
            nanoseconds: instant.nanoseconds >= offset ? instant.nanoseconds - offset : 0)
    }
}
