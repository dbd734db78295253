import Synchronization

/// The five timers of a peer (§6). The events that set them have the kernel's names.
///
/// - *Retransmit handshake* sends a new initiation 5 s after an unanswered one.
/// - *Send keepalive* sends a keepalive 10 s after data was received, if nothing else was sent.
/// - *New handshake* starts a handshake 15 s after data was sent, if nothing was received.
/// - *Zero key material* wipes all keys 540 s after the last session was derived.
/// - *Persistent keepalive* sends a keepalive when the configured interval passes without packets.
///
/// A deadline is an ``Instant`` in nanoseconds, 0 if the timer is not pending. The packet path only
/// stores deadlines, on any thread; the control thread reads them at ``wakeUp``. Most deadlines only
/// move later, so an event needs an earlier wake-up only if its deadline is before ``wakeUp``:
/// under traffic, a few times a minute for each peer.
package struct PeerTimers: ~Copyable, Sendable {
    let retransmitHandshake = Atomic<UInt64>(0)
    let sendKeepalive = Atomic<UInt64>(0)
    let newHandshake = Atomic<UInt64>(0)
    let zeroKeyMaterial = Atomic<UInt64>(0)
    let persistentKeepalive = Atomic<UInt64>(0)

    /// Data was received while *send keepalive* was pending: another keepalive must follow it.
    let needsAnotherKeepalive = Atomic<Bool>(false)
    /// Retries of the last initiation that was not a retry.
    let handshakeAttempts = Atomic<UInt32>(0)
    /// Seconds, 0 for none.
    let persistentKeepaliveSeconds = Atomic<UInt16>(0)
    /// When the control thread will next read these deadlines; `.max` for never.
    let wakeUp = Atomic<UInt64>(.max)
    /// False while the interface is down; no timer starts then.
    let isRunning = Atomic<Bool>(false)

    package init() {}

    // MARK: Events

    /// Call this after a packet with data was sent.
    package func dataSent(now: Instant, jitter: Interval) -> Wake {
        start(
            newHandshake, at: now + Constants.keepaliveTimeout + Constants.rekeyTimeout + jitter)
    }

    /// Call this after an authentic packet with data was received.
    package func dataReceived(now: Instant) -> Wake {
        guard sendKeepalive.load(ordering: .relaxed) == 0 else {
            needsAnotherKeepalive.store(true, ordering: .relaxed)
            return .notNeeded
        }
        return start(sendKeepalive, at: now + Constants.keepaliveTimeout)
    }

    /// Call this after any authenticated packet was sent: data, keepalive or handshake.
    package func anyAuthenticatedPacketSent() {
        stop(sendKeepalive)
    }

    /// Call this after any authentic packet was received: data, keepalive or handshake.
    package func anyAuthenticatedPacketReceived() {
        stop(newHandshake)
    }

    /// Call this after any authenticated packet was sent or received.
    package func anyAuthenticatedPacketTraversal(now: Instant) -> Wake {
        let seconds = persistentKeepaliveSeconds.load(ordering: .relaxed)
        guard seconds > 0 else { return .notNeeded }
        return restart(persistentKeepalive, at: now + .seconds(UInt64(seconds)))
    }

    /// Call this after an initiation was sent.
    package func handshakeInitiated(now: Instant, jitter: Interval) -> Wake {
        restart(retransmitHandshake, at: now + Constants.rekeyTimeout + jitter)
    }

    /// Call this after a response was consumed, or the first message under the next keypair.
    package func handshakeComplete() {
        stop(retransmitHandshake)
        handshakeAttempts.store(0, ordering: .relaxed)
    }

    /// Call this after a session was derived, in either role.
    package func sessionDerived(now: Instant) -> Wake {
        restart(zeroKeyMaterial, at: now + Constants.zeroKeyMaterialAfterTime)
    }

    /// Call this after all keys of the peer were wiped before their time.
    package func keysWiped() {
        stop(zeroKeyMaterial)
    }

    /// Call this when the handshake is given up after its last retry.
    package func handshakeGivenUp(now: Instant) -> Wake {
        stop(sendKeepalive)
        // The keys of the last session must be wiped even if no new session follows.
        return start(zeroKeyMaterial, at: now + Constants.zeroKeyMaterialAfterTime)
    }

    /// Call this after the persistent keepalive was turned on or the interface came up. The first
    /// keepalive is due at once.
    package func persistentKeepaliveStarted(now: Instant) -> Wake {
        restart(persistentKeepalive, at: now)
    }

    /// Call this after the persistent keepalive was turned off.
    package func persistentKeepaliveStopped() {
        stop(persistentKeepalive)
    }

    // MARK: Expiry

    /// Stops the timers that have expired, and returns them.
    package func takeExpired(now: Instant) -> Expired {
        var expired: Expired = []
        if takeIfDue(retransmitHandshake, now) { expired.insert(.retransmitHandshake) }
        if takeIfDue(sendKeepalive, now) { expired.insert(.sendKeepalive) }
        if takeIfDue(newHandshake, now) { expired.insert(.newHandshake) }
        if takeIfDue(zeroKeyMaterial, now) { expired.insert(.zeroKeyMaterial) }
        if takeIfDue(persistentKeepalive, now) { expired.insert(.persistentKeepalive) }
        return expired
    }

    /// A set of expired timers.
    package struct Expired: OptionSet, Sendable {
        package let rawValue: UInt8

        package init(rawValue: UInt8) {
            self.rawValue = rawValue
        }

        static let retransmitHandshake = Expired(rawValue: 1)
        static let sendKeepalive = Expired(rawValue: 2)
        static let newHandshake = Expired(rawValue: 4)
        static let zeroKeyMaterial = Expired(rawValue: 8)
        static let persistentKeepalive = Expired(rawValue: 16)
    }

    /// Call this after *send keepalive* expired. Restarts it if more data was received since it started.
    package func rearmKeepaliveIfOwed(now: Instant) -> Wake {
        guard needsAnotherKeepalive.exchange(false, ordering: .relaxed) else { return .notNeeded }
        return start(sendKeepalive, at: now + Constants.keepaliveTimeout)
    }

    /// The earliest deadline, nil when no timer is pending.
    package var nextDeadline: Instant? {
        var earliest = UInt64.max
        // Sequentially consistent; see `restart`.
        for deadline in [
            retransmitHandshake.load(ordering: .sequentiallyConsistent),
            sendKeepalive.load(ordering: .sequentiallyConsistent),
            newHandshake.load(ordering: .sequentiallyConsistent),
            zeroKeyMaterial.load(ordering: .sequentiallyConsistent),
            persistentKeepalive.load(ordering: .sequentiallyConsistent),
        ] where deadline != 0 {
            earliest = min(earliest, deadline)
        }
        return earliest == .max ? nil : Instant(nanoseconds: earliest)
    }

    /// Stops all timers. Call this when the interface goes down or the peer is removed.
    package func stopAll() {
        isRunning.store(false, ordering: .relaxed)
        stop(retransmitHandshake)
        stop(sendKeepalive)
        stop(newHandshake)
        stop(zeroKeyMaterial)
        stop(persistentKeepalive)
        needsAnotherKeepalive.store(false, ordering: .relaxed)
        handshakeAttempts.store(0, ordering: .relaxed)
    }

    // MARK: Steps

    private func start(_ timer: borrowing Atomic<UInt64>, at deadline: Instant) -> Wake {
        guard timer.load(ordering: .relaxed) == 0 else { return .notNeeded }
        return restart(timer, at: deadline)
    }

    private func restart(_ timer: borrowing Atomic<UInt64>, at deadline: Instant) -> Wake {
        guard isRunning.load(ordering: .relaxed) else { return .notNeeded }
        // Sequentially consistent with the control thread, which stores `wakeUp` and then loads the
        // deadlines: at least one of the two threads sees the other's store.
        timer.store(max(deadline.nanoseconds, 1), ordering: .sequentiallyConsistent)
        return deadline.nanoseconds < wakeUp.load(ordering: .sequentiallyConsistent)
            ? .needed : .notNeeded
    }

    private func stop(_ timer: borrowing Atomic<UInt64>) {
        // Load first: a store for each packet would move the cache line between processors.
        if timer.load(ordering: .relaxed) != 0 { timer.store(0, ordering: .relaxed) }
    }

    private func takeIfDue(_ timer: borrowing Atomic<UInt64>, _ now: Instant) -> Bool {
        let deadline = timer.load(ordering: .relaxed)
        guard deadline != 0, deadline <= now.nanoseconds else { return false }
        return timer.compareExchange(expected: deadline, desired: 0, ordering: .relaxed).exchanged
    }
}
