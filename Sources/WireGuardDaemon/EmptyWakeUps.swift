/// How often a thread was woken and found nothing, with nothing else done in between.
///
/// It happens: a datagram whose checksum is wrong wakes a thread and is gone when it is received. A
/// thread to which it happens all the time must not spin; but whoever may send us such datagrams must
/// not hold it up either. What tells them apart is how fast they follow each other: a loop that spins
/// takes a few microseconds a turn.
struct EmptyWakeUps: Sendable {
    private var count = 0
    /// When the first of them was, in nanoseconds.
    private var began: UInt64 = 0

    /// So many…
    static let limit = 100
    /// … within so many nanoseconds are a loop that spins, on a slow machine too. Datagrams would have
    /// to come one by one, 25 000 in a second.
    static let window: UInt64 = 4_000_000

    /// Something was done.
    mutating func end() {
        count = 0
    }

    /// There was nothing, once more.
    ///
    /// - Parameter clock: nanoseconds; read for the first and for the last of them.
    /// - Returns: whether the thread spins, and has to rest. It is told once for so many.
    mutating func note(clock: () -> UInt64) -> Bool {
        count += 1
        if count == 1 { began = clock() }
        guard count >= Self.limit else { return false }
        count = 0
        let now = clock()
        return now >= began && now - began < Self.window
    }
}
