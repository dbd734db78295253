import Packets

/// Limits the handshakes of each source under load.
///
///     source                               rate    burst
///     an IPv4 address or an IPv6 /64       20/s        5
///     all /64s of an IPv6 /48 together    200/s       50
///
/// A host usually has all addresses of its /64, and a site can have all /64s of a /48 (RFC 6177). Ten hosts of
/// a site can use their full rate; the site then takes about 2 % of a processor and at most 300 of the 65 536
/// buckets.
///
/// Each source has a token bucket that holds time; a handshake costs 50 ms, and 5 ms of the /48. A handshake
/// that one bucket refuses costs nothing in the other. The limiter sees only messages with a valid mac2, so
/// sources cannot be spoofed.
///
/// A bucket that is full again, after a quarter of a second at most, is removed: it is as good as a new one.
/// While all are in use, new sources are refused, as in the kernel. That takes 65 536 handshakes in a quarter
/// of a second, more than the control thread can compute.
package struct HandshakeRateLimiter: Sendable {
    private var buckets: [Source: Bucket] = [:]
    /// The buckets of /48s.
    private var sites: [UInt64: Bucket] = [:]
    private var lastSweep = Instant(nanoseconds: 0)

    private enum Source: Hashable {
        case v4(UInt32)
        case v6(network: UInt64)
    }

    private struct Bucket {
        var credit: Interval
        var filled: Instant

        /// The credit with what was earned since.
        func credit(now: Instant) -> Interval {
            // Capped before the sum: `since` can be huge.
            let earned = min(now.since(filled), HandshakeRateLimiter.limit)
            return min(credit + earned, HandshakeRateLimiter.limit)
        }

        /// Whether a new bucket would be the same. A bucket filled in the future is from before a clock step.
        func isFull(now: Instant) -> Bool {
            now < filled || credit(now: now) >= HandshakeRateLimiter.limit
        }
    }

    /// Creates a limiter without sources.
    package init() {}

    /// Whether a source may have one more handshake now; if so, charges it.
    package mutating func admits(_ address: IPAddress, now: Instant) -> Bool {
        sweep(now: now)
        switch address {
        case .v4(let address):
            let source = Source.v4(address.bits)
            guard let bucket = charged(source, now: now) else { return false }
            buckets[source] = bucket
        case .v6(let address):
            let source = Source.v6(network: address.high)
            let site = address.high >> 16
            guard let bucket = charged(source, now: now),
                let siteBucket = charged(site: site, now: now)
            else { return false }
            buckets[source] = bucket
            sites[site] = siteBucket
        }
        return true
    }

    private func charged(_ source: Source, now: Instant) -> Bucket? {
        Self.charged(buckets[source], Self.cost, among: buckets.count, now: now)
    }

    private func charged(site: UInt64, now: Instant) -> Bucket? {
        Self.charged(sites[site], Self.siteCost, among: sites.count, now: now)
    }

    /// A bucket after it paid for a handshake; nil if it cannot, or if a new one is needed and there is no
    /// room.
    private static func charged(
        _ bucket: Bucket?, _ cost: Interval, among count: Int, now: Instant
    ) -> Bucket? {
        if bucket == nil, count >= capacity { return nil }
        let credit = bucket?.credit(now: now) ?? limit
        guard credit >= cost else { return nil }
        return Bucket(
            credit: Interval(nanoseconds: credit.nanoseconds - cost.nanoseconds), filled: now)
    }

    /// Removes the buckets that are full again; at most once a second, and four times a second while there is
    /// no room. ``admits(_:now:)`` calls this; call it to free memory earlier.
    package mutating func sweep(now: Instant) {
        let isFull = max(buckets.count, sites.count) >= Self.capacity
        let interval = isFull ? Self.limit : Self.sweepInterval
        guard now.since(lastSweep) >= interval || now < lastSweep else { return }
        lastSweep = now
        buckets = buckets.filter { !$0.value.isFull(now: now) }
        sites = sites.filter { !$0.value.isFull(now: now) }
    }

    /// The number of sources that have a bucket, /48s not included.
    package var count: Int { buckets.count }

    /// The number of /48s that have a bucket.
    package var siteCount: Int { sites.count }

    /// The cost of one handshake: 20 a second.
    private static let cost = Interval.milliseconds(50)
    /// The cost of one handshake to the /48: 200 a second.
    private static let siteCost = Interval.milliseconds(5)
    /// The capacity of a bucket: five handshakes of a source, fifty of a /48.
    private static let limit = Interval.milliseconds(250)
    private static let sweepInterval = Interval.seconds(1)
    /// The maximum number of buckets, of sources and of /48s each.
    package static let capacity = 65_536
}
