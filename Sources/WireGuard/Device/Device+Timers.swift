import Synchronization

extension Device {
    /// Looks at peers whose time has come, so many at the most; whether there are more.
    func handleTimeouts(at moment: SteadyMoment, atMost limit: Int) -> Bool {
        var budget = limit
        while let first = deadlines.first, first.deadline <= moment.instant {
            guard budget > 0 else { return true }
            budget -= 1
            guard let peer = peer(first.slot) else {
                deadlines.set(first.slot, deadline: nil)
                continue
            }
            handleTimeouts(of: peer, at: moment)
            schedule(peer)
        }
        return false
    }

    /// Does what is due at a peer, which the caller puts on the heap again.
    func handleTimeouts(of peer: Peer, at moment: SteadyMoment) {
        let slot = peer.slot.rawValue
        let expired = tables.peers[slot].timers.takeExpired(now: moment.instant)
        if expired.contains(.zeroKeyMaterial) {
            clearHandshake(of: peer)
            clearKeypairs(of: peer)
            trace(.keysWiped(peer.publicKey))
        }
        if expired.contains(.retransmitHandshake) { retransmit(peer, at: moment) }
        if expired.contains(.newHandshake) {
            clearSource(of: peer.slot)
            trace(.noAnswer(peer.publicKey))
            initiate(peer, .noAnswer, at: moment)
        }
        if expired.contains(.sendKeepalive) {
            sendKeepalive(peer, at: moment)
            _ = tables.peers[slot].timers.rearmKeepaliveIfOwed(now: moment.instant)
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
            dropStaged(of: peer, .unanswered)
            _ = tables.peers[slot].timers.handshakeGivenUp(now: moment.instant)
            return
        }
        // A response that went out meanwhile holds it back, but must not end it.
        let last = Instant(
            nanoseconds: tables.peers[slot].lastHandshakeSent.load(ordering: .relaxed))
        guard !tables.peers[slot].isHandshakeLimited(now: moment.instant) else {
            _ = tables.peers[slot].timers.handshakeInitiated(now: last, jitter: jitter())
            return
        }
        tables.peers[slot].timers.handshakeAttempts.store(attempts + 1, ordering: .relaxed)
        clearSource(of: peer.slot)
        initiate(peer, .retry(attempts + 1), at: moment)
    }

    /// Puts the peer's earliest deadline on the heap, and tells the packet path when it is.
    func schedule(_ peer: Peer) {
        let slot = peer.slot.rawValue
        while true {
            let deadline = tables.peers[slot].timers.nextDeadline
            deadlines.set(peer.slot, deadline: deadline)
            tables.peers[slot].timers.wakeUp.store(
                deadline?.nanoseconds ?? .max, ordering: .sequentiallyConsistent)
            // The packet path may have stored an earlier one between our look and our word.
            guard let again = tables.peers[slot].timers.nextDeadline, let deadline else {
                if deadline != nil || tables.peers[slot].timers.nextDeadline == nil { return }
                continue
            }
            if again >= deadline { return }
        }
    }
}
