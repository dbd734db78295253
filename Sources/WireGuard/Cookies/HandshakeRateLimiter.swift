import Packets

/// How many handshakes one source may ask for under load: 20 a second, 5 at once.
///
/// Each source has a bucket of time; a handshake costs 50 ms of it. A source is an IPv4 address or an
/// IPv6 /64, as any holder of one address of a /64 has them all. It is asked only for messages with a
/// valid mac2, so sources cannot be made up; still there are 65 536 buckets at the most, and whoever
/// comes when all are taken is refused, as in the kernel.
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

    /// A limiter that has seen nobody.
    package init() {}

    /// Whether a source may have one more handshake now, which it then is charged for.
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
        // A sum of at most 250 ms and what `since` gives, cut before it is added.
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

    /// Forgets the sources that were quiet for a second, and frees their memory when all are. Called
    /// by ``admits(_:now:)`` once a second; whoever wants the memory back sooner calls it too.
    package mutating func sweep(now: Instant) {
        guard now.since(lastSweep) >= Self.sweepInterval || now < lastSweep else { return }
        lastSweep = now
        // A bucket of the future was filled before the clock stepped back.
        buckets = buckets.filter {
            now >= $0.value.filled && now.since($0.value.filled) < Self.sweepInterval
        }
    }

    /// The number of sources that have a bucket.
    package var count: Int { buckets.count }

    /// What one handshake costs: a twentieth of a second.
    private static let cost = Interval.milliseconds(50)
    /// What a bucket holds: five handshakes.
    private static let limit = Interval.milliseconds(250)
    private static let sweepInterval = Interval.seconds(1)
    /// The most sources there are buckets for.
    package static let capacity = 65_536
}
