/// Inner packets that wait for a session, at most 128 a peer; the oldest makes room (§6.4, kernel).
struct StagedPackets: Sendable {
    /// The packets, oldest first.
    private(set) var packets: [StagedPacket] = []

    /// Bytes of all packets together.
    private(set) var byteCount = 0

    /// Adds a packet and tells how many bytes fell out at the other end for it.
    mutating func append(_ packet: StagedPacket) -> (dropped: Int, freedBytes: Int) {
        var freed = 0
        var dropped = 0
        if packets.count >= Constants.maximumStagedPackets {
            freed = packets.removeFirst().byteCount
            dropped = 1
        }
        packets.append(packet)
        byteCount += packet.byteCount - freed
        return (dropped, freed)
    }

    /// Puts packets back in front, as when the session was lost before they were sealed.
    mutating func restore(_ older: [StagedPacket]) {
        packets.insert(contentsOf: older, at: 0)
        byteCount += older.reduce(0) { $0 + $1.byteCount }
        while packets.count > Constants.maximumStagedPackets {
            byteCount -= packets.removeFirst().byteCount
        }
    }

    /// Takes all packets out.
    mutating func takeAll() -> [StagedPacket] {
        defer {
            packets = []
            byteCount = 0
        }
        return packets
    }
}
