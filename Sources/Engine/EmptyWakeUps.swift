/// Detects a thread that is woken again and again but finds nothing to do.
///
/// A few such wake-ups are normal: a datagram with a bad checksum wakes the thread but is discarded
/// when it is received. A flood of those must not slow the thread down, but a busy loop must not
/// take a whole processor. The rate separates the two: a busy loop takes a few microseconds per
/// iteration.
struct EmptyWakeUps: Sendable {
    private var count = 0
    /// The time of the first wake-up counted, in nanoseconds.
    private var began: UInt64 = 0

    /// ``limit`` wake-ups within ``window`` nanoseconds are a busy loop, on slow machines too.
    /// Datagrams would have to arrive one by one, 25 000 per second.
    static let limit = 100
    static let window: UInt64 = 4_000_000

    /// The thread found something to do.
    mutating func end() {
        count = 0
    }

    /// The thread was woken and found nothing to do.
    ///
    /// - Parameter clock: returns nanoseconds. Called for the first and the last of ``limit``
    ///   wake-ups only.
    /// - Returns: whether the thread is in a busy loop and must pause. True at most once per
    ///   ``limit`` calls.
    mutating func note(clock: () -> UInt64) -> Bool {
        count += 1
        if count == 1 { began = clock() }
        guard count >= Self.limit else { return false }
        count = 0
        let now = clock()
        return now >= began && now - began < Self.window
    }
}
