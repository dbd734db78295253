import Packets
import Synchronization

/// Packets that wait for a session.
///
/// A peer has at most 128, and all peers together at most 4 MiB (``Constants/maximumStagedBytes``), plus about
/// 100 bytes of bookkeeping for each packet. Beyond either limit the oldest packet is dropped: the peer's own at
/// 128, or else that of the peer that holds most bytes. So while `n` peers wait, no peer loses a packet to
/// others unless it holds more than 4 MiB ÷ `n`: with 60 silent peers, each peer can stage 49 packets of 1420
/// bytes, and with 2900 still one.
extension SharedState {
    /// Stages a copy of a packet until its peer has a session.
    func stage(
        _ bytes: RawSpan, at offset: Int, length: Int, for slot: PeerSlot,
        in tables: borrowing SharedTables
    ) {
        let packet = StagedPacket(copying: bytes.extracting(offset..<offset + length))
        stage(packet, for: slot, in: tables)
    }

    /// Stages a packet; an empty one is a keepalive.
    func stage(_ packet: StagedPacket, for slot: PeerSlot, in tables: borrowing SharedTables) {
        changeStaged(of: slot, in: tables) { $0.append(packet).dropped }
    }

    /// Takes all staged packets of a peer.
    func takeStaged(of slot: PeerSlot, in tables: borrowing SharedTables) -> [StagedPacket] {
        var packets: [StagedPacket] = []
        changeStaged(of: slot, in: tables) { staged in
            packets = staged.takeAll()
            return 0
        }
        return packets
    }

    /// Puts packets that could not be sent back, before those that were staged since.
    func restoreStaged(
        _ packets: [StagedPacket], for slot: PeerSlot, in tables: borrowing SharedTables
    ) {
        changeStaged(of: slot, in: tables) { $0.restore(packets) }
    }

    /// Drops all staged packets of a peer.
    func dropStaged(
        of slot: PeerSlot, _ reason: DropReason, in tables: borrowing SharedTables
    ) {
        let packets = takeStaged(of: slot, in: tables)
        drop(reason, packets: packets.count { !$0.isKeepalive }, peer: slot)
    }

    /// Bytes of all peers' staged packets.
    var stagedBytes: Int { stagedShares.withLock { $0.byteCount } }

    /// Changes the staged packets of a peer. Then drops packets of those that hold most, until all fit.
    ///
    /// - Parameter change: returns the number of packets that it dropped.
    private func changeStaged(
        of slot: PeerSlot, in tables: borrowing SharedTables,
        _ change: (inout StagedPackets) -> Int
    ) {
        let dropped = tables.peers[slot.rawValue].staged.withLock { change(&$0) }
        drop(.stagedOverflow, packets: dropped, peer: slot)
        stagedShares.withLock { shares in
            // Read now, because another thread may have changed them since. Each notes its own change here.
            let held = tables.peers[slot.rawValue].staged.withLock { $0.byteCount }
            shares.set(slot, byteCount: held)
            while let largest = shares.overdrawn {
                let (dropped, held) = tables.peers[largest.rawValue].staged.withLock {
                    ($0.dropOldest(), $0.byteCount)
                }
                shares.set(largest, byteCount: held)
                drop(.stagedOverflow, packets: dropped, peer: largest)
            }
        }
    }
}
