/// How many bytes of staged packets each peer holds, and all together.
struct StagedShares {
    /// Bytes of all peers' staged packets.
    private(set) var byteCount = 0
    /// The bytes of each peer that holds some, negated, so that the first holds most.
    private var holders = SlotHeap<Int>()

    /// Sets the bytes that a peer holds.
    mutating func set(_ slot: PeerSlot, byteCount new: Int) {
        byteCount += new + (holders.key(of: slot) ?? 0)
        holders.set(slot, key: new > 0 ? -new : nil)
    }

    /// The peer that must drop its oldest packet: the one that holds most, while all together hold more than
    /// ``Constants/maximumStagedBytes``.
    var overdrawn: PeerSlot? {
        byteCount > Constants.maximumStagedBytes ? holders.first?.slot : nil
    }
}
