import Synchronization

/// The five timers of a peer (§6), set by events that carry the kernel's names.
///
/// - *Retransmit handshake* sends the initiation again, 5 s after the last one.
/// - *Send keepalive* answers data with an empty packet when nothing else was sent for 10 s.
/// - *New handshake* starts one when data went out and nothing came back for 15 s.
/// - *Zero key material* wipes all keys 540 s after the last session was derived.
/// - *Persistent keepalive* sends an empty packet when nothing passed for the configured interval.
///
/// A deadline is nanoseconds of ``Instant``, 0 while the timer is not pending. The packet path
/// only stores deadlines, on any thread; the control thread looks at them when ``wakeUp`` is due.
/// Deadlines mostly move later, so an event asks for the control thread only when its deadline
/// lies before ``wakeUp``: under traffic a few times a minute and peer.
package struct PeerTimers: ~Copyable, Sendable {
    let retransmitHandshake = Atomic<UInt64>(0)
    let sendKeepalive = Atomic<UInt64>(0)
    let newHandshake = Atomic<UInt64>(0)
    let zeroKeyMaterial = Atomic<UInt64>(0)
    let persistentKeepalive = Atomic<UInt64>(0)

    /// Data came while *send keepalive* was pending: one more is owed after it.
    let needsAnotherKeepalive = Atomic<Bool>(false)
    /// Initiations sent again since the last demand for a handshake that was no retry.
    let handshakeAttempts = Atomic<UInt32>(0)
    /// Seconds, 0 for none.
    let persistentKeepaliveSeconds = Atomic<UInt16>(0)
    /// When the control thread will next look at these timers; `.max` for never.
    let wakeUp = Atomic<UInt64>(.max)
    /// False while the interface is down: then no timer starts.
    let isRunning = Atomic<Bool>(false)

    package init() {}

    // MARK: Events

    /// Should be called after a packet with data was sent.
    package func dataSent(now: Instant, jitter: Interval) -> Wake {
        start(
            newHandshake, at: now + Constants.keepaliveTimeout + Constants.rekeyTimeout + jitter)
    }

    /// Should be called after an authentic packet with data was received.
    package func dataReceived(now: Instant) -> Wake {
        guard sendKeepalive.load(ordering: .relaxed) == 0 else {
            needsAnotherKeepalive.store(true, ordering: .relaxed)
            return .notNeeded
        }
        return start(sendKeepalive, at: now + Constants.keepaliveTimeout)
    }

    /// Should be called after any packet that the peer can authenticate was sent: data, keepalive or
    /// handshake.
    package func anyAuthenticatedPacketSent() {
        stop(sendKeepalive)
    }

    /// Should be called after any authentic packet was received: data, keepalive or handshake.
    package func anyAuthenticatedPacketReceived() {
        stop(newHandshake)
    }

    /// Should be called after an authenticated packet went either way.
    package func anyAuthenticatedPacketTraversal(now: Instant) -> Wake {
        let seconds = persistentKeepaliveSeconds.load(ordering: .relaxed)
        guard seconds > 0 else { return .notNeeded }
        return restart(persistentKeepalive, at: now + .seconds(UInt64(seconds)))
    }

    /// Should be called after an initiation was sent.
    package func handshakeInitiated(now: Instant, jitter: Interval) -> Wake {
        restart(retransmitHandshake, at: now + Constants.rekeyTimeout + jitter)
    }

    /// Should be called after a response was consumed, or data came under the next keypair.
    package func handshakeComplete() {
        stop(retransmitHandshake)
        handshakeAttempts.store(0, ordering: .relaxed)
    }

    /// Should be called after a session was derived, in either role.
    package func sessionDerived(now: Instant) -> Wake {
        restart(zeroKeyMaterial, at: now + Constants.zeroKeyMaterialAfterTime)
    }

    /// Should be called when the last initiation was given up.
    package func handshakeGivenUp(now: Instant) -> Wake {
        stop(sendKeepalive)
        // Nothing of the last session may outlive the attempts by long.
        return start(zeroKeyMaterial, at: now + Constants.zeroKeyMaterialAfterTime)
    }

    /// Should be called after the persistent keepalive was turned on, or the interface came up: the
    /// first one is due.
    package func persistentKeepaliveStarted(now: Instant) {
        _ = restart(persistentKeepalive, at: now)
    }

    /// Should be called after the persistent keepalive was turned off.
    package func persistentKeepaliveStopped() {
        stop(persistentKeepalive)
    }

    // MARK: Expiry

    /// The timers that ran out by `now`; each is stopped.
    package func takeExpired(now: Instant) -> Expired {
        var expired: Expired = []
        if takeIfDue(retransmitHandshake, now) { expired.insert(.retransmitHandshake) }
        if takeIfDue(sendKeepalive, now) { expired.insert(.sendKeepalive) }
        if takeIfDue(newHandshake, now) { expired.insert(.newHandshake) }
        if takeIfDue(zeroKeyMaterial, now) { expired.insert(.zeroKeyMaterial) }
        if takeIfDue(persistentKeepalive, now) { expired.insert(.persistentKeepalive) }
        return expired
    }

    /// Timers that ran out together.
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

    /// After *send keepalive* ran out: starts it again if more data came in the meantime.
    package func rearmKeepaliveIfOwed(now: Instant) -> Wake {
        guard needsAnotherKeepalive.exchange(false, ordering: .relaxed) else { return .notNeeded }
        return start(sendKeepalive, at: now + Constants.keepaliveTimeout)
    }

    /// The earliest deadline, nil when no timer is pending.
    package var nextDeadline: Instant? {
        var earliest = UInt64.max
        // Sequentially consistent, as the stores of the packet path: see `restart`.
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

    /// Stops all five, as when the interface goes down or the peer is removed.
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
        // Sequentially consistent with the control thread, which stores `wakeUp` and then reads the
        // deadlines: one of the two sees what the other wrote.
        timer.store(max(deadline.nanoseconds, 1), ordering: .sequentiallyConsistent)
        return deadline.nanoseconds < wakeUp.load(ordering: .sequentiallyConsistent)
            ? .needed : .notNeeded
    }

    private func stop(_ timer: borrowing Atomic<UInt64>) {
        // A plain load first: a store for each packet would keep the cache line moving.
        if timer.load(ordering: .relaxed) != 0 { timer.store(0, ordering: .relaxed) }
    }

    private func takeIfDue(_ timer: borrowing Atomic<UInt64>, _ now: Instant) -> Bool {
        let deadline = timer.load(ordering: .relaxed)
        guard deadline != 0, deadline <= now.nanoseconds else { return false }
        return timer.compareExchange(expected: deadline, desired: 0, ordering: .relaxed).exchanged
    }
}
