import Packets

/// Limits the handshakes of each source under load to 20 a second, with bursts of 5.
///
/// Each source has a token bucket that holds time; a handshake costs 50 ms. A source is an IPv4
/// address or an IPv6 /64, because a host usually has all addresses of its /64. The limiter sees only
/// messages with a valid mac2, so sources cannot be spoofed. There are at most 65 536 buckets; while
/// all are in use, new sources are refused, as in the kernel.
package struct HandshakeRateLimiter: Sendable {
    private var buckets: [Source: Bucket] = [:]
    private var lastSweep = Instant(nanoseconds: 0)

    private enum Source: Hashable {
        case v4(UInt32)
        case v6(network: UInt64)
    }

    private struct Bucket {
        var credit: Interval
        var filled: Instant
    }

    /// Creates a limiter without sources.
    package init() {}

    /// Whether a source may have one more handshake now; if so, charges it.
    package mutating func admits(_ address: IPAddress, now: Instant) -> Bool {
        sweep(now: now)
        let source: Source =
            switch address {
            case .v4(let address): .v4(address.bits)
            case .v6(let address): .v6(network: address.high)
            }
        guard let bucket = buckets[source] else {
            guard buckets.count < Self.capacity else { return false }
            buckets[source] = Bucket(
                credit: Interval(nanoseconds: Self.limit.nanoseconds - Self.cost.nanoseconds),
                filled: now)
            return true
        }
        // Capped before the sum: `since` can be huge.
        let earned = min(now.since(bucket.filled), Self.limit)
        let credit = min(bucket.credit + earned, Self.limit)
        guard credit >= Self.cost else {
            buckets[source] = Bucket(credit: credit, filled: now)
            return false
        }
        buckets[source] = Bucket(
            credit: Interval(nanoseconds: credit.nanoseconds - Self.cost.nanoseconds), filled: now)
        return true
    }

    /// Removes the sources that had no handshake for a second; does nothing if the last sweep is less
    /// than a second ago. ``admits(_:now:)`` calls this; call it to free memory earlier.
    package mutating func sweep(now: Instant) {
        guard now.since(lastSweep) >= Self.sweepInterval || now < lastSweep else { return }
        lastSweep = now
        // A bucket filled in the future is from before a clock step.
        buckets = buckets.filter {
            now >= $0.value.filled && now.since($0.value.filled) < Self.sweepInterval
        }
    }

    /// The number of sources that have a bucket.
    package var count: Int { buckets.count }

    /// The cost of one handshake: 20 a second.
    private static let cost = Interval.milliseconds(50)
    /// The capacity of a bucket: five handshakes.
    private static let limit = Interval.milliseconds(250)
    private static let sweepInterval = Interval.seconds(1)
    /// The maximum number of buckets.
    package static let capacity = 65_536
}
