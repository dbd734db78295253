/// Inner packets that wait for a session, at most 128 a peer; the oldest makes room (§6.4, kernel).
struct StagedPackets: Sendable {
    /// The packets, oldest first, without padding; an empty one is a keepalive that waits.
    private(set) var packets: [[UInt8]] = []

    /// Bytes of all packets together.
    private(set) var byteCount = 0

    /// Adds a packet and tells how many bytes fell out at the other end for it.
    mutating func append(_ packet: [UInt8]) -> (dropped: Int, freedBytes: Int) {
        var freed = 0
        var dropped = 0
        if packets.count >= Constants.maximumStagedPackets {
            freed = packets.removeFirst().count
            dropped = 1
        }
        packets.append(packet)
        byteCount += packet.count - freed
        return (dropped, freed)
    }

    /// Puts packets back in front, as when the session was lost before they were sealed.
    mutating func restore(_ older: [[UInt8]]) {
        packets.insert(contentsOf: older, at: 0)
        byteCount += older.reduce(0) { $0 + $1.count }
        while packets.count > Constants.maximumStagedPackets {
            byteCount -= packets.removeFirst().count
        }
    }

    /// Takes all packets out.
    mutating func takeAll() -> [[UInt8]] {
        defer {
            packets = []
            byteCount = 0
        }
        return packets
    }
}
