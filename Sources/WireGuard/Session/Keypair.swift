import Synchronization
import WireGuardCrypto

/// The two keys of one session and their counters (§5.4.5).
///
/// All threads share it. Several may seal at the same time, because each reserves its counters first.
struct Keypair: ~Copyable, Sendable {
    /// The host's role in the handshake. Only the initiator rekeys because of the key's age.
    enum Role: Sendable {
        case initiator
        case responder
    }

    let peer: PeerSlot
    let role: Role
    /// The receiver index in messages from the peer.
    let localIndex: ReceiverIndex
    /// The receiver index in messages to the peer.
    let remoteIndex: ReceiverIndex
    let created: Instant
    let sending: SymmetricKey
    let receiving: SymmetricKey

    /// The next counter to send.
    private let nextCounter = Atomic<UInt64>(0)
    /// False after the private key changed: the keypair then only receives.
    let maySend = Atomic<Bool>(true)
    /// Whether the rekey on receive was requested, which happens once for each keypair.
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

    /// Whether the keypair reached Reject-After-Time: it must not be used (§6.1).
    func isExpired(now: Instant) -> Bool {
        now.since(created) >= Constants.rejectAfterTime
    }

    /// Reserves `count` consecutive counters for the caller.
    ///
    /// - Returns: the first of them, nil if the last would reach Reject-After-Messages.
    func reserveCounters(_ count: Int) -> UInt64? {
        // Compare and exchange: a failed reservation must not move the counter towards its overflow.
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

    /// Whether to start a new session after sending: the key reached Rekey-After-Messages, or
    /// Rekey-After-Time on the initiator (§6.2).
    func needsRekeyAfterSending(now: Instant) -> Bool {
        nextCounter.load(ordering: .relaxed) > Constants.rekeyAfterMessages
            || (role == .initiator && now.since(created) >= Constants.rekeyAfterTime)
    }

    /// Whether to start a new session after receiving (§6.2). Returns true once for each keypair.
    func takeRekeyOnReceive(now: Instant) -> Bool {
        guard role == .initiator, maySend.load(ordering: .relaxed),
            now.since(created) >= Constants.rekeyOnReceiveAfterTime,
            !wasRekeyedOnReceive.load(ordering: .relaxed)
        else { return false }
        return !wasRekeyedOnReceive.exchange(true, ordering: .relaxed)
    }

    /// Sets the next counter; for tests of the message limits.
    func skipCounters(to counter: UInt64) {
        nextCounter.store(counter, ordering: .relaxed)
    }
}
