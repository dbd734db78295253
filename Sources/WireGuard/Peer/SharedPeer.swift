import Packets
import Synchronization

/// The half of a peer that the packet path touches, on any thread: which keypair sends, where to,
/// the timers, the counters and the packets that wait.
///
/// All of it is atomic or behind a lock of its own, taken once for a run of packets.
struct SharedPeer: ~Copyable, Sendable {
    /// A keypair slot that means "none".
    static let noKeypair = UInt32.max

    let timers = PeerTimers()
    /// The slot of the keypair that sends.
    let current = Atomic<UInt32>(noKeypair)
    /// The slot of the keypair that waits for its first message (key confirmation).
    let next = Atomic<UInt32>(noKeypair)
    let endpoint = Mutex<Endpoint?>(nil)
    let staged = Mutex(StagedPackets())
    /// UDP payload bytes, handshakes included.
    let sentBytes = Atomic<UInt64>(0)
    /// Whole messages, handshakes included, but not those refused after opening.
    let receivedBytes = Atomic<UInt64>(0)
    /// Authentic packets that were refused for what they held.
    let receiveErrors = Atomic<UInt64>(0)
    /// When the last initiation or response went out, in nanoseconds; 0 for not within the limit.
    let lastHandshakeSent = Atomic<UInt64>(0)
    /// In which ``SharedTables/sourceGeneration`` a segmented send to the peer was too large for its path
    /// (upper half), and the second up to which that counts (lower half); 0 for never.
    private let segmentationRefusal = Atomic<UInt64>(0)
    /// What the packet path asked of the control thread and it has not looked at yet.
    private let requests = Atomic<UInt8>(0)

    /// What the packet path asks of the control thread.
    struct Requests: OptionSet, Sendable {
        let rawValue: UInt8

        /// Send an initiation, which is no retry: packets wait for a session.
        static let handshake = Requests(rawValue: 1)
        /// The first message under the next keypair came.
        static let keyConfirmed = Requests(rawValue: 2)
        /// A timer's deadline lies before the next look at this peer.
        static let earlierWakeUp = Requests(rawValue: 4)
        /// Send an initiation, since a packet was sent under an old key.
        static let rekeyAfterSending = Requests(rawValue: 8)
        /// Send an initiation, since a packet came under a key that expires soon.
        static let rekeyAfterReceiving = Requests(rawValue: 16)

        /// Why an initiation is asked for, nil if it is not.
        var cause: InitiationCause? {
            if contains(.handshake) { return .packetsWait }
            if contains(.rekeyAfterSending) { return .keyIsOld }
            if contains(.rekeyAfterReceiving) { return .keyExpiresSoon }
            return nil
        }
    }

    /// The first message under a keypair came: if it waits for that, it sends from now on, before what
    /// the message carries can be answered. The control thread follows.
    ///
    /// - Returns: whether this call made the change.
    func confirm(_ keypair: UInt32) -> Bool {
        guard next.load(ordering: .acquiring) == keypair else { return false }
        current.store(keypair, ordering: .releasing)
        return next.compareExchange(
            expected: keypair, desired: Self.noKeypair, ordering: .acquiringAndReleasing
        ).exchanged
    }

    /// From now on the peer is there. Another address is another path, which may take segmented sends.
    func move(to new: Endpoint) {
        let old = endpoint.withLock { endpoint in
            defer { endpoint = new }
            return endpoint
        }
        guard old?.remote.address != new.remote.address else { return }
        segmentationRefusal.store(0, ordering: .relaxed)
    }

    /// The path to the peer has not taken a segmented send.
    func refuseSegmentation(generation: UInt32, now: Instant) {
        let end = Self.second(now + Constants.segmentationPause)
        segmentationRefusal.store(UInt64(generation) << 32 | UInt64(end), ordering: .relaxed)
    }

    /// Whether the path of this generation was found not to take segmented sends, of late.
    func refusesSegmentation(generation: UInt32, now: Instant) -> Bool {
        let refusal = segmentationRefusal.load(ordering: .relaxed)
        return refusal != 0 && refusal >> 32 == UInt64(generation)
            && Self.second(now) < UInt32(truncatingIfNeeded: refusal)
    }

    private static func second(_ instant: Instant) -> UInt32 {
        UInt32(truncatingIfNeeded: instant.nanoseconds / 1_000_000_000)
    }

    /// Notes requests; true if none was pending, so that the peer must be put on the list.
    func request(_ more: Requests) -> Bool {
        // The load keeps a busy flow from writing the line for each batch.
        let pending = requests.load(ordering: .relaxed)
        if pending & more.rawValue == more.rawValue { return false }
        return requests.bitwiseOr(more.rawValue, ordering: .acquiringAndReleasing).oldValue == 0
    }

    /// Takes all pending requests.
    func takeRequests() -> Requests {
        Requests(rawValue: requests.exchange(0, ordering: .acquiringAndReleasing))
    }

    /// True while the last handshake message is younger than Rekey-Timeout.
    func isHandshakeLimited(now: Instant) -> Bool {
        let last = lastHandshakeSent.load(ordering: .relaxed)
        return last != 0
            && now.since(Instant(nanoseconds: last)) < Constants.rekeyTimeout
    }
}
