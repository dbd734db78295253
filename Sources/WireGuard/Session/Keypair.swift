import Synchronization
import WireGuardCrypto

/// The two keys of one session and what is counted under them (§5.4.5).
///
/// Shared by all threads: several may seal under it, since each reserves its counters first.
struct Keypair: ~Copyable, Sendable {
    /// Who derived the keypair in which part; only an initiator renews it by its age.
    enum Role: Sendable {
        case initiator
        case responder
    }

    let peer: PeerSlot
    let role: Role
    /// How the peer's messages name this keypair.
    let localIndex: ReceiverIndex
    /// How our messages name the peer's half.
    let remoteIndex: ReceiverIndex
    let created: Instant
    let sending: SymmetricKey
    let receiving: SymmetricKey

    /// The next counter to send with.
    private let nextCounter = Atomic<UInt64>(0)
    /// False after the private key changed: what is under way is still received, nothing is sent.
    let maySend = Atomic<Bool>(true)
    /// True once the receiver's rekey at 165 s was asked for: once a key is enough.
    let wasRekeyedOnReceive = Atomic<Bool>(false)
    let replayWindow = Mutex(ReplayWindow())

    init(
        peer: PeerSlot, role: Role, localIndex: ReceiverIndex, remoteIndex: ReceiverIndex,
        created: Instant, sending: consuming SymmetricKey, receiving: consuming SymmetricKey
    ) {
        self.peer = peer
        self.role = role
        self.localIndex = localIndex
        self.remoteIndex = remoteIndex
        self.created = created
        self.sending = sending
        self.receiving = receiving
    }

    /// True from Reject-After-Time on: neither sent under nor accepted (§6.1).
    func isExpired(now: Instant) -> Bool {
        now.since(created) >= Constants.rejectAfterTime
    }

    /// Takes `count` consecutive counters for the caller alone.
    ///
    /// - Returns: the first of them, nil if the last would reach Reject-After-Messages. A compare and
    ///   exchange, since an addition that fails must not move the counter towards its wrap.
    func reserveCounters(_ count: Int) -> UInt64? {
        var first = nextCounter.load(ordering: .relaxed)
        while true {
            guard first < Constants.rejectAfterMessages,
                UInt64(count) <= Constants.rejectAfterMessages - first
            else { return nil }
            let (exchanged, original) = nextCounter.weakCompareExchange(
                expected: first, desired: first + UInt64(count), ordering: .relaxed)
            if exchanged { return first }
            first = original
        }
    }

    /// Whether the sender should ask for a new session: too many messages, or the initiator's key is
    /// older than Rekey-After-Time (§6.2).
    func needsRekeyAfterSending(now: Instant) -> Bool {
        nextCounter.load(ordering: .relaxed) > Constants.rekeyAfterMessages
            || (role == .initiator && now.since(created) >= Constants.rekeyAfterTime)
    }

    /// Whether the receiver should ask for a new session, true once a key (§6.2).
    func takeRekeyOnReceive(now: Instant) -> Bool {
        guard role == .initiator, maySend.load(ordering: .relaxed),
            now.since(created) >= Constants.rekeyOnReceiveAfterTime,
            !wasRekeyedOnReceive.load(ordering: .relaxed)
        else { return false }
        return !wasRekeyedOnReceive.exchange(true, ordering: .relaxed)
    }

    /// Moves the counter forward, for tests of the message limits.
    func skipCounters(to counter: UInt64) {
        nextCounter.store(counter, ordering: .relaxed)
    }
}
