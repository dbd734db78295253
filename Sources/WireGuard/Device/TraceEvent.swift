import Packets
import WireGuardCrypto

/// Something that happened in the protocol, for a log or a test. Keys in it are public ones, indices
/// our own: those that the peer's messages name.
public enum TraceEvent: Equatable, Sendable {
    /// An initiation went out.
    case initiationSent(PublicKey, ReceiverIndex, InitiationCause)
    /// A peer's initiation was accepted and answered; the new session waits to be used.
    case initiationConsumed(PublicKey, ReceiverIndex, SocketAddress)
    /// A peer answered our initiation: the session is there.
    case responseConsumed(PublicKey, ReceiverIndex, SocketAddress)
    /// Another keypair sends from now on: that of a response, or as responder the one that the peer
    /// used first (key confirmation).
    case keypairRotated(PublicKey, ReceiverIndex)
    /// All attempts went unanswered.
    case handshakeGivenUp(PublicKey, attempts: UInt32)
    /// Data went unanswered for 15 s.
    case noAnswer(PublicKey)
    /// All keys of a peer were wiped by age.
    case keysWiped(PublicKey)
    /// A cookie came in, for the handshake or the session of this index.
    case cookieReplyConsumed(PublicKey, ReceiverIndex)
    /// Packets or datagrams went no further.
    case dropped(Drop)
    /// So many more went no further for this reason than ``dropped(_:)`` told of.
    case leftOut(UInt64, DropReason, HandshakeError?)
}

/// Why an initiation was sent.
public enum InitiationCause: Equatable, Sendable {
    /// Packets wait, and there is no session to send them in.
    case packetsWait
    /// A keepalive is due, and there is no session to send it in.
    case keepaliveDue
    /// A packet was sent under a key that is older than Rekey-After-Time, or used up.
    case keyIsOld
    /// A packet came under a key that will soon be older than Reject-After-Time.
    case keyExpiresSoon
    /// Data went unanswered for 15 s.
    case noAnswer
    /// The one before went unanswered for Rekey-Timeout; this is the n-th time.
    case retry(UInt32)

    /// Whether it repeats one that went unanswered.
    public var isRetry: Bool {
        if case .retry = self { true } else { false }
    }
}

/// Packets or datagrams that went no further, with what is known of them.
public struct Drop: Equatable, Sendable {
    /// Why.
    public var reason: DropReason
    /// What is wrong with it, if it is a handshake message.
    public var handshakeError: HandshakeError?
    /// Whose it is, if that is known.
    public var peer: PublicKey?
    /// The index that it names; of an initiation, the sender's own.
    public var index: ReceiverIndex?
    /// Where it came from, for what came from the network.
    public var remote: SocketAddress?
    /// The inner address that decided: a destination that has no peer, a source that is not allowed.
    public var inner: IPAddress?
    /// How many there were, one after the other.
    public var packets: Int

    /// Makes a drop.
    public init(
        _ reason: DropReason, handshakeError: HandshakeError? = nil, peer: PublicKey? = nil,
        index: ReceiverIndex? = nil, remote: SocketAddress? = nil, inner: IPAddress? = nil,
        packets: Int = 1
    ) {
        self.reason = reason
        self.handshakeError = handshakeError
        self.peer = peer
        self.index = index
        self.remote = remote
        self.inner = inner
        self.packets = packets
    }
}
