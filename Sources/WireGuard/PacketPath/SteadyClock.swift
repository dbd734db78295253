import Synchronization

/// The time as all threads of one device count it: it goes on from where it was when their clock is
/// set back by more than a second, so that no key lives longer and no timer waits for the old time.
///
/// A thread may be slow: by the time it asks here what the reading it took means, others have been
/// told later times. That is no step, however late it is. A step is what one thread sees alone: a
/// clock that shows less, when it is read again, than that thread was told before.
///
/// If a thread brings a reading from before a step after another has met it, the step may be counted twice:
/// time may go ahead by as much, and goes back for nobody. The clock of the daemon makes no such steps.
struct SteadyClock: ~Copyable, Sendable {
    private let latest = Atomic<UInt64>(0)
    private let setBack = Atomic<UInt64>(0)

    /// What one thread read last, and what it was told.
    struct Reader: Sendable {
        fileprivate var observed = Instant(nanoseconds: 0)
        fileprivate var last: UInt64 = 0
    }

    /// A thread read `observed` off its clock; what time that is.
    func time(at observed: Instant, for reader: inout Reader) -> Instant {
        let offset = setBack.load(ordering: .relaxed)
        let now = observed + Interval(nanoseconds: offset)
        let last = max(latest.load(ordering: .relaxed), reader.last)
        let isReadAgain = observed != reader.observed
        reader.observed = observed
        guard now.nanoseconds < last else {
            latest.store(now.nanoseconds, ordering: .relaxed)
            reader.last = now.nanoseconds
            return now
        }
        // The clocks of two processors may differ by a little.
        if isReadAgain, now + .seconds(1) < Instant(nanoseconds: reader.last) {
            // Two threads may see the same step, which is to be added once.
            _ = setBack.compareExchange(
                expected: offset, desired: offset &+ (last - now.nanoseconds), ordering: .relaxed)
        }
        reader.last = last
        return Instant(nanoseconds: last)
    }

    /// What the callers' clock will show at a time that was told here.
    func reading(at instant: Instant) -> Instant {
        let offset = setBack.load(ordering: .relaxed)
        return Instant(
            nanoseconds: instant.nanoseconds >= offset ? instant.nanoseconds - offset : 0)
    }
}
