import Synchronization

extension Device {
    /// Wipes the keys of all sessions, all pending handshakes and the secrets of cookies. Configuration,
    /// counters, staged packets and timers stay. The next packet to a peer starts a handshake at once.
    ///
    /// Call it before the memory is written to a disk (hibernation), and when a second copy of it may run:
    /// two clones of one snapshot would seal different packets with the same key and counter. The kernel
    /// does the same in `wg_pm_notification` and `wg_vm_notification`.
    ///
    /// A batch that a worker seals meanwhile ends first, so nothing is sealed under the old keys
    /// afterwards. It takes about a microsecond for each session.
    package func wipeSessions() {
        for peer in peersByKey.values {
            clearHandshake(of: peer)
            clearKeypairs(of: peer)
            tables.peers[peer.slot.rawValue].lastHandshakeSent.store(0, ordering: .relaxed)
            withTimers(of: peer) { timers in
                timers.keysWiped()
                return .notNeeded
            }
        }
        checker?.wipeSecrets()
    }
}
