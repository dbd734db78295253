/// The packets of a peer that wait for a session, at most 128. The oldest are dropped first (§6.4,
/// kernel).
struct StagedPackets: Sendable {
    /// The packets, oldest first.
    private(set) var packets: [StagedPacket] = []

    /// Bytes of all packets together.
    private(set) var byteCount = 0

    /// Adds a packet, and drops the oldest one if there is no room.
    ///
    /// - Returns: the number of dropped packets, not counting keepalives, and the bytes they freed.
    mutating func append(_ packet: StagedPacket) -> (dropped: Int, freedBytes: Int) {
        var freed = 0
        var dropped = 0
        if packets.count >= Constants.maximumStagedPackets {
            let oldest = packets.removeFirst()
            freed = oldest.byteCount
            dropped = oldest.isKeepalive ? 0 : 1
        }
        packets.append(packet)
        byteCount += packet.byteCount - freed
        return (dropped, freed)
    }

    /// Drops the oldest packet.
    ///
    /// - Returns: the number of dropped packets, not counting keepalives.
    mutating func dropOldest() -> Int {
        guard !packets.isEmpty else { return 0 }
        let oldest = packets.removeFirst()
        byteCount -= oldest.byteCount
        return oldest.isKeepalive ? 0 : 1
    }

    /// Puts packets back before all others, as when the session was lost before they were sealed.
    /// Drops the oldest ones if there is no room for all.
    ///
    /// - Returns: the number of dropped packets, not counting keepalives.
    mutating func restore(_ older: [StagedPacket]) -> Int {
        packets.insert(contentsOf: older, at: 0)
        let excess = packets.prefix(max(packets.count - Constants.maximumStagedPackets, 0))
        let dropped = excess.count { !$0.isKeepalive }
        packets.removeFirst(excess.count)
        byteCount = packets.reduce(0) { $0 + $1.byteCount }
        return dropped
    }

    /// Takes all packets.
    mutating func takeAll() -> [StagedPacket] {
        defer {
            packets = []
            byteCount = 0
        }
        return packets
    }
}
