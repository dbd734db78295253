/// A rate limit with bursts.
struct TokenBucket {
    private let cost: UInt64
    private let capacity: UInt64
    private var tokens: UInt64
    private var last = Instant(nanoseconds: 0)

    /// Makes a full bucket. Tokens are nanoseconds: each event costs 1 s ÷ `perSecond`.
    init(perSecond: UInt64, burst: UInt64) {
        cost = 1_000_000_000 / perSecond
        capacity = cost * burst
        tokens = capacity
    }

    /// Takes the tokens of one event; false if there are too few.
    mutating func take(now: Instant) -> Bool {
        let elapsed = min(now.since(last).nanoseconds, capacity)
        last = max(last, now)
        tokens = min(tokens + elapsed, capacity)
        guard tokens >= cost else { return false }
        tokens -= cost
        return true
    }
}

/// A fast pseudorandom generator for timer jitter (xorshift64*; Marsaglia 2003, Vigna 2016). It is not
/// for secrets.
struct JitterSource {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed | 1
    }

    /// An interval of at most ``Constants/maximumJitter``.
    mutating func next() -> Interval {
        state ^= state >> 12
        state ^= state << 25
        state ^= state >> 27
        let high = (state &* 0x2545_F491_4F6C_DD1D) >> 32
        return Interval(
            nanoseconds: high % (Constants.maximumJitter.nanoseconds + 1))
    }
}
