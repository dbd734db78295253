import Packets
import WireGuardCrypto

/// A protocol event, for logs and tests. Its keys are public keys; its indices are ours, which are the
/// receiver indices in the peer's messages.
public enum TraceEvent: Equatable, Sendable {
    /// An initiation was sent.
    case initiationSent(PublicKey, ReceiverIndex, InitiationCause)
    /// A peer's initiation was accepted and answered; the new session waits for its first message.
    case initiationConsumed(PublicKey, ReceiverIndex, SocketAddress)
    /// A peer's response was accepted; the session is ready.
    case responseConsumed(PublicKey, ReceiverIndex, SocketAddress)
    /// A new keypair is used to send: after a response, or as responder after the first message under
    /// it (key confirmation).
    case keypairRotated(PublicKey, ReceiverIndex)
    /// No initiation was answered; the handshake was given up.
    case handshakeGivenUp(PublicKey, attempts: UInt32)
    /// No authentic message arrived for 15 s after data was sent.
    case noAnswer(PublicKey)
    /// All keys of a peer were wiped because of their age.
    case keysWiped(PublicKey)
    /// A cookie was accepted, for the handshake or the session with this index.
    case cookieReplyConsumed(PublicKey, ReceiverIndex)
    /// Packets or datagrams were dropped.
    case dropped(Drop)
    /// The number of drops for this reason that no ``dropped(_:)`` event reports.
    case leftOut(UInt64, DropReason, HandshakeError?)
}

/// Why an initiation was sent.
public enum InitiationCause: Equatable, Sendable {
    /// Packets are staged, and there is no session.
    case packetsWait
    /// A keepalive is due, and there is no session.
    case keepaliveDue
    /// A packet was sent under a key older than Rekey-After-Time, or past Rekey-After-Messages.
    case keyIsOld
    /// A packet was received while our key is about to reach Reject-After-Time.
    case keyExpiresSoon
    /// No authentic message arrived for 15 s after data was sent.
    case noAnswer
    /// The previous initiation was not answered within Rekey-Timeout; this is the n-th retry.
    case retry(UInt32)

    /// Whether the initiation repeats an unanswered one.
    public var isRetry: Bool {
        if case .retry = self { true } else { false }
    }
}

/// Dropped packets or datagrams, with what is known about them.
public struct Drop: Equatable, Sendable {
    /// Why they were dropped.
    public var reason: DropReason
    /// The error, if a handshake message was not accepted.
    public var handshakeError: HandshakeError?
    /// The peer, if known.
    public var peer: PublicKey?
    /// The receiver index of the message, or the sender index of an initiation.
    public var index: ReceiverIndex?
    /// The sender's address, for datagrams from the network.
    public var remote: SocketAddress?
    /// The inner address at fault: a destination without a peer, or a source that is not allowed.
    public var inner: IPAddress?
    /// The number of consecutive drops.
    public var packets: Int

    /// Creates a drop.
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
