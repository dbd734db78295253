import Packets
import Synchronization

/// The part of a peer that the packet path uses, on any thread: keypair, endpoint, timers, counters
/// and staged packets.
///
/// Each property is atomic or has its own lock, which is taken once for a run of packets.
struct SharedPeer: ~Copyable, Sendable {
    /// The keypair slot for "none".
    static let noKeypair = UInt32.max

    let timers = PeerTimers()
    /// The slot of the keypair to send under.
    let current = Atomic<UInt32>(noKeypair)
    /// The slot of the keypair that waits for its first message (§5.4.5, key confirmation).
    let next = Atomic<UInt32>(noKeypair)
    let endpoint = Mutex<Endpoint?>(nil)
    let staged = Mutex(StagedPackets())
    /// Sent UDP payload bytes, including handshakes.
    let sentBytes = Atomic<UInt64>(0)
    /// Received UDP payload bytes, including handshakes, without the messages that were dropped after
    /// they were opened.
    let receivedBytes = Atomic<UInt64>(0)
    /// Authentic messages that were dropped because of their packet.
    let receiveErrors = Atomic<UInt64>(0)
    /// When the last initiation or response was sent, in nanoseconds; 0 to allow the next one at once.
    let lastHandshakeSent = Atomic<UInt64>(0)
    /// The last segmented send that was too large for the network path: the MTU generation in the upper
    /// half, the second until which segmentation stays off in the lower; 0 for none.
    private let segmentationRefusal = Atomic<UInt64>(0)
    /// What the last check of the source said about the route; 0 before the first one.
    private let route = Atomic<Int>(0)
    /// Requests of the packet path that the control thread has not taken yet.
    private let requests = Atomic<UInt8>(0)

    /// Requests of the packet path to the control thread.
    struct Requests: OptionSet, Sendable {
        let rawValue: UInt8

        /// Send an initiation that is not a retry: packets wait for a session.
        static let handshake = Requests(rawValue: 1)
        /// The first message under the next keypair was received.
        static let keyConfirmed = Requests(rawValue: 2)
        /// A timer's deadline is before the scheduled wake-up for this peer.
        static let earlierWakeUp = Requests(rawValue: 4)
        /// Send an initiation: a packet was sent under an old key.
        static let rekeyAfterSending = Requests(rawValue: 8)
        /// Send an initiation: a packet was received, and the key expires soon.
        static let rekeyAfterReceiving = Requests(rawValue: 16)
        /// Check the cached source against the route.
        static let sourceCheck = Requests(rawValue: 32)

        /// Why an initiation is requested; nil if none is.
        var cause: InitiationCause? {
            if contains(.handshake) { return .packetsWait }
            if contains(.rekeyAfterSending) { return .keyIsOld }
            if contains(.rekeyAfterReceiving) { return .keyExpiresSoon }
            return nil
        }
    }

    /// Notes that a message under a keypair was received. If the keypair waited for its first message,
    /// it becomes the current one at once, so that the answer to the message is sent under it. The
    /// control thread follows.
    ///
    /// - Returns: whether this call made the change.
    func confirm(_ keypair: UInt32) -> Bool {
        guard next.load(ordering: .acquiring) == keypair else { return false }
        current.store(keypair, ordering: .releasing)
        return next.compareExchange(
            expected: keypair, desired: Self.noKeypair, ordering: .acquiringAndReleasing
        ).exchanged
    }

    /// Sets the endpoint. To a new address segmented sends are tried again, because the network path
    /// is different.
    func move(to new: Endpoint) {
        let old = endpoint.withLock { endpoint in
            defer { endpoint = new }
            return endpoint
        }
        noteMove(from: old, to: new)
    }

    /// Sets the endpoint to where an authentic message came from and arrived. If both are as before, what
    /// is known about the route stays.
    func follow(
        _ remote: SocketAddress, source: SourceAddress?, _ generations: SourceGenerations
    ) {
        let new = Endpoint(remote: remote, source: source, generations)
        var old: Endpoint?
        let hasMoved = endpoint.withLock { endpoint in
            if endpoint?.agrees(with: new) == true { return false }
            old = endpoint
            endpoint = new
            return true
        }
        if hasMoved { noteMove(from: old, to: new) }
    }

    private func noteMove(from old: Endpoint?, to new: Endpoint) {
        guard old?.remote.address != new.remote.address else { return }
        segmentationRefusal.store(0, ordering: .relaxed)
        route.store(0, ordering: .relaxed)
    }

    /// Notes the answer to a question about the route. By another route than before segmented sends are
    /// tried again.
    ///
    /// - Returns: false if the endpoint has changed since the question.
    func noteCheck(_ check: SourceCheck, _ verdict: SourceVerdict) -> Bool {
        let isCurrent = endpoint.withLock { endpoint in
            guard endpoint?.remote == check.remote,
                endpoint?.learntSource(check.generations) == check.source
            else { return false }
            endpoint?.noteCheck(verdict, routeGeneration: check.generations.route)
            return true
        }
        guard isCurrent, let new = verdict.route, new != 0 else { return isCurrent }
        let old = route.exchange(new, ordering: .relaxed)
        if old != 0, old != new { segmentationRefusal.store(0, ordering: .relaxed) }
        return true
    }

    /// Notes that the network path to the peer refused a segmented send.
    func refuseSegmentation(generation: UInt32, now: Instant) {
        let end = Self.second(now + Constants.segmentationPause)
        segmentationRefusal.store(UInt64(generation) << 32 | UInt64(end), ordering: .relaxed)
    }

    /// Whether the network path refused a segmented send recently, in the same MTU generation.
    func refusesSegmentation(generation: UInt32, now: Instant) -> Bool {
        let refusal = segmentationRefusal.load(ordering: .relaxed)
        return refusal != 0 && refusal >> 32 == UInt64(generation)
            && Self.second(now) < UInt32(truncatingIfNeeded: refusal)
    }

    private static func second(_ instant: Instant) -> UInt32 {
        UInt32(truncatingIfNeeded: instant.nanoseconds / 1_000_000_000)
    }

    /// Adds requests. Returns true if none was pending, so that the caller must put the peer on the
    /// control thread's list.
    func request(_ more: Requests) -> Bool {
        // The load avoids a write to the cache line for each batch of a busy flow.
        let pending = requests.load(ordering: .relaxed)
        if pending & more.rawValue == more.rawValue { return false }
        return requests.bitwiseOr(more.rawValue, ordering: .acquiringAndReleasing).oldValue == 0
    }

    /// Takes all pending requests.
    func takeRequests() -> Requests {
        Requests(rawValue: requests.exchange(0, ordering: .acquiringAndReleasing))
    }

    /// Whether the last handshake message was sent less than Rekey-Timeout ago.
    func isHandshakeLimited(now: Instant) -> Bool {
        let last = lastHandshakeSent.load(ordering: .relaxed)
        return last != 0
            && now.since(Instant(nanoseconds: last)) < Constants.rekeyTimeout
    }
}
