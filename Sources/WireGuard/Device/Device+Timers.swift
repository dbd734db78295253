import Synchronization

extension Device {
    /// Reports events to a peer's timers, and schedules the peer's next deadline on exit.
    ///
    /// All events that start a timer are reported here: `report` must return their result, so none is
    /// lost.
    func withTimers(of peer: Peer, _ report: (borrowing PeerTimers) -> Wake) {
        switch report(tables.peers[peer.slot.rawValue].timers) {
        // Also if no earlier wake-up is needed: the deadline may be later now.
        case .notNeeded, .needed: schedule(peer)
        }
    }

    /// Handles expired timers of at most `limit` peers. Returns whether more peers are due.
    func handleTimeouts(at moment: SteadyMoment, atMost limit: Int) -> Bool {
        var budget = limit
        while let first = deadlines.first, first.key <= moment.instant {
            guard budget > 0 else { return true }
            budget -= 1
            guard let peer = peer(first.slot) else {
                deadlines.set(first.slot, key: nil)
                continue
            }
            handleTimeouts(of: peer, at: moment)
            schedule(peer)
        }
        return false
    }

    /// Handles the expired timers of one peer. The caller must schedule the peer again.
    func handleTimeouts(of peer: Peer, at moment: SteadyMoment) {
        let expired = tables.peers[peer.slot.rawValue].timers.takeExpired(now: moment.instant)
        if expired.contains(.zeroKeyMaterial) {
            clearHandshake(of: peer)
            clearKeypairs(of: peer)
            trace(.keysWiped(peer.publicKey))
        }
        if expired.contains(.retransmitHandshake) { retransmit(peer, at: moment) }
        if expired.contains(.newHandshake) {
            forgetSource(of: peer.slot)
            trace(.noAnswer(peer.publicKey))
            initiate(peer, .noAnswer, at: moment)
        }
        if expired.contains(.sendKeepalive) {
            sendKeepalive(peer, at: moment)
            withTimers(of: peer) { $0.rearmKeepaliveIfOwed(now: moment.instant) }
        }
        if expired.contains(.persistentKeepalive), persistentKeepalive(of: peer) > 0 {
            sendKeepalive(peer, at: moment)
        }
    }

    private func retransmit(_ peer: Peer, at moment: SteadyMoment) {
        let slot = peer.slot.rawValue
        let attempts = tables.peers[slot].timers.handshakeAttempts.load(ordering: .relaxed)
        guard attempts <= Constants.maximumHandshakeAttempts else {
            trace(.handshakeGivenUp(peer.publicKey, attempts: attempts))
            shared.dropStaged(of: peer.slot, .unanswered, in: tables)
            withTimers(of: peer) { $0.handshakeGivenUp(now: moment.instant) }
            return
        }
        // A response sent in the meantime delays the retransmission, but must not cancel it.
        let last = Instant(
            nanoseconds: tables.peers[slot].lastHandshakeSent.load(ordering: .relaxed))
        guard !tables.peers[slot].isHandshakeLimited(now: moment.instant) else {
            let jitter = jitter()
            withTimers(of: peer) { $0.handshakeInitiated(now: last, jitter: jitter) }
            return
        }
        tables.peers[slot].timers.handshakeAttempts.store(attempts + 1, ordering: .relaxed)
        forgetSource(of: peer.slot)
        initiate(peer, .retry(attempts + 1), at: moment)
    }

    /// Puts the peer's earliest deadline on the heap, and publishes it to the packet path.
    func schedule(_ peer: Peer) {
        let slot = peer.slot.rawValue
        while true {
            let deadline = tables.peers[slot].timers.nextDeadline
            deadlines.set(peer.slot, key: deadline)
            tables.peers[slot].timers.wakeUp.store(
                deadline?.nanoseconds ?? .max, ordering: .sequentiallyConsistent)
            // The packet path may have stored an earlier deadline before it saw `wakeUp`.
            guard let again = tables.peers[slot].timers.nextDeadline, let deadline else {
                if deadline != nil || tables.peers[slot].timers.nextDeadline == nil { return }
                continue
            }
            if again >= deadline { return }
        }
    }
}
