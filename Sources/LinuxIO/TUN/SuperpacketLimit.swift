import Packets

/// The maximum size of a super-packet that the kernel passes to a TUN (`gso_max_size`).
///
/// With the kernel's default of 64 KiB, a super-packet holds 47 packets of an MTU of 1420. One segmented
/// send carries 45, so each read would need two sends, the second nearly empty.
struct SuperpacketLimit: Equatable, Sendable {
    /// The maximum number of bytes.
    var byteCount: Int
    /// The maximum number of packets.
    var segments: Int

    /// The kernel's default.
    static var unlimited: SuperpacketLimit {
        SuperpacketLimit(byteCount: 65_536, segments: 65_535)
    }

    /// The limit for an MTU in bytes: as many full packets as one segmented send carries after sealing.
    init(mtu: Int) {
        let sealed = max(mtu, 0) + Self.overhead
        let count = min(Self.send.segments, Self.send.bytes / sealed)
        guard count > 1 else {
            self = .unlimited
            return
        }
        // The kernel subtracts 257 (IPv4) or 321 bytes (IPv6) for headers, then divides by the payload
        // of a segment. The result is `count` for TCP with timestamps over IPv4, and no more over IPv6,
        // whose segments carry 20 bytes less.
        byteCount = count * (mtu - 52) + 321
        segments = Self.send.segments
    }

    private init(byteCount: Int, segments: Int) {
        self.byteCount = byteCount
        self.segments = segments
    }

    /// Header and tag of transport data.
    private static let overhead = 32
    /// What one segmented send carries over IPv6, which is less than over IPv4.
    private static let send = SegmentedSend.Limits.v6
}
