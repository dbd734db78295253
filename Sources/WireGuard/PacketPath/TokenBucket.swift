/// Lets through so many a second on the average, and so many at once.
struct TokenBucket {
    private let cost: UInt64
    private let capacity: UInt64
    private var tokens: UInt64
    private var last = Instant(nanoseconds: 0)

    /// A full bucket. Tokens are nanoseconds: one passage costs 1 s ÷ `perSecond`.
    init(perSecond: UInt64, burst: UInt64) {
        cost = 1_000_000_000 / perSecond
        capacity = cost * burst
        tokens = capacity
    }

    /// Whether one more may pass now.
    mutating func take(now: Instant) -> Bool {
        let elapsed = min(now.since(last).nanoseconds, capacity)
        last = max(last, now)
        tokens = min(tokens + elapsed, capacity)
        guard tokens >= cost else { return false }
        tokens -= cost
        return true
    }
}

/// Cheap numbers that keep timers of different peers apart; no secret depends on them (xorshift64*,
/// Marsaglia 2003 and Vigna 2016).
struct JitterSource {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed | 1
    }

    /// An interval below ``Constants/maximumJitter``.
    mutating func next() -> Interval {
        state ^= state >> 12
        state ^= state << 25
        state ^= state >> 27
        let high = (state &* 0x2545_F491_4F6C_DD1D) >> 32
        return Interval(
            nanoseconds: high % (Constants.maximumJitter.nanoseconds + 1))
    }
}
