import Synchronization
import WireGuardCrypto

/// Keypairs: from the handshake that derives them until they are wiped (§5.4.5, §6.1).
extension Device {
    /// Starts a session with the keys that a handshake derived (§5.4.5).
    func begin(_ keys: consuming SessionKeys, with peer: Peer, at moment: SteadyMoment) {
        let role = keys.role
        let index = keys.localIndex
        let keypair = keys.makeKeypair(peer: peer.slot, created: moment.instant)
        makeRoomForIndex()
        changeKeypairs(of: peer, adding: keypair) { keypairs, slot, tables in
            guard let slot else { return [] }
            tables.indices.insert(index, keypair: slot)
            return keypairs.insert(slot, role: role)
        }
        withTimers(of: peer) { $0.sessionDerived(now: moment.instant) }
    }

    /// Grows the index table. The workers wait only for the swap, not for the copy.
    private func makeRoomForIndex() {
        guard tables.indices.isFull else { return }
        var larger = tables.indices.grown()
        control.exclusively { tables in swap(&tables.indices, &larger) }
    }

    /// Follows the packet path, which received the first message under the next keypair and already
    /// sends under it (§5.4.5, key confirmation).
    func confirmNextKeypair(of peer: Peer, at moment: SteadyMoment) {
        changeKeypairs(of: peer, adding: nil) { _, _, _ in [] }
        // If our initiation crossed the peer's, it is no longer needed.
        clearHandshake(of: peer)
        noteHandshakeComplete(peer, at: moment)
        sendStaged(peer, at: moment)
    }

    func clearKeypairs(of peer: Peer) {
        guard !peer.keypairs.all.isEmpty else { return }
        changeKeypairs(of: peer, adding: nil) { keypairs, _, _ in keypairs.removeAll() }
    }

    /// Changes a peer's keypairs while no worker holds its gate, frees those that the change returns,
    /// and publishes the ones to use.
    private func changeKeypairs(
        of peer: Peer, adding keypair: consuming Keypair?,
        _ change: (inout Keypairs, UInt32?, inout SharedTables) -> [UInt32]
    ) {
        var added: Keypair? = keypair
        let peerIndex = peer.slot.rawValue
        let before = peer.keypairs.current
        control.exclusively { tables in
            // The packet path may have confirmed the next keypair in the meantime.
            if let next = peer.keypairs.next,
                tables.peers[peerIndex].current.load(ordering: .acquiring) == next
            {
                free(peer.keypairs.confirmNext(), in: &tables)
            }
            let slot: UInt32? =
                switch added.take() {
                case .some(let keypair): tables.keypairs.insert(keypair)
                case .none: nil
                }
            free(change(&peer.keypairs, slot, &tables), in: &tables)
            tables.peers[peerIndex].current.store(
                peer.keypairs.current ?? SharedPeer.noKeypair, ordering: .releasing)
            tables.peers[peerIndex].next.store(
                peer.keypairs.next ?? SharedPeer.noKeypair, ordering: .releasing)
        }
        if let current = peer.keypairs.current, current != before {
            trace(.keypairRotated(peer.publicKey, tables.keypairs[current].localIndex))
        }
    }

    /// - Precondition: no worker holds its gate.
    private func free(_ slots: [UInt32], in tables: inout SharedTables) {
        for slot in slots {
            tables.indices.remove(tables.keypairs[slot].localIndex)
            tables.keypairs.remove(slot)
        }
    }
}
