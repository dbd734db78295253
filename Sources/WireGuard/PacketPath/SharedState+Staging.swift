import Packets
import Synchronization

extension SharedState {
    /// Stages a copy of a packet until its peer has a session. At 128 packets the peer's oldest is
    /// dropped; beyond the byte limit that all peers share, the new packet is dropped.
    func stage(
        _ bytes: RawSpan, at offset: Int, length: Int, for slot: PeerSlot,
        in tables: borrowing SharedTables
    ) {
        guard stagedBytes.load(ordering: .relaxed) + length <= Constants.maximumStagedBytes else {
            drop(.stagedOverflow, peer: slot)
            return
        }
        let packet = StagedPacket(copying: bytes.extracting(offset..<offset + length))
        stage(packet, for: slot, in: tables)
    }

    /// Stages a packet; an empty one is a keepalive.
    func stage(_ packet: StagedPacket, for slot: PeerSlot, in tables: borrowing SharedTables) {
        let (dropped, freed) = tables.peers[slot.rawValue].staged.withLock { $0.append(packet) }
        stagedBytes.wrappingAdd(packet.byteCount - freed, ordering: .relaxed)
        drop(.stagedOverflow, packets: dropped, peer: slot)
    }

    /// Takes all staged packets of this peer.
    func takeStaged(of peer: borrowing SharedPeer) -> [StagedPacket] {
        let packets = peer.staged.withLock { $0.takeAll() }
        let byteCount = packets.reduce(0) { $0 + $1.byteCount }
        stagedBytes.wrappingSubtract(byteCount, ordering: .relaxed)
        return packets
    }

    /// Puts packets that could not be sent back, before those that were staged since. Beyond 128
    /// packets, the oldest are dropped.
    func restoreStaged(
        _ packets: [StagedPacket], for slot: PeerSlot, in tables: borrowing SharedTables
    ) {
        let (dropped, change) = tables.peers[slot.rawValue].staged.withLock { staged in
            let before = staged.byteCount
            let dropped = staged.restore(packets)
            return (dropped, staged.byteCount - before)
        }
        stagedBytes.wrappingAdd(change, ordering: .relaxed)
        drop(.stagedOverflow, packets: dropped, peer: slot)
    }

    /// Drops all staged packets of a peer.
    func dropStaged(
        of slot: PeerSlot, _ reason: DropReason, in tables: borrowing SharedTables
    ) {
        let packets = takeStaged(of: tables.peers[slot.rawValue])
        drop(reason, packets: packets.count { !$0.isKeepalive }, peer: slot)
    }
}
