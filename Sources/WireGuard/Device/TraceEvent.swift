import Packets
import WireGuardCrypto

/// Something that happened in the protocol, for a log or a test. Keys in it are public ones.
public enum TraceEvent: Equatable, Sendable {
    /// An initiation went out, on demand or once more.
    case initiationSent(PublicKey, retry: Bool)
    /// A peer's initiation was accepted and answered.
    case initiationConsumed(PublicKey, SocketAddress)
    /// A peer answered our initiation: the session is there.
    case responseConsumed(PublicKey, SocketAddress)
    /// A peer used the session that our response made.
    case keyConfirmed(PublicKey)
    /// All attempts went unanswered.
    case handshakeGivenUp(PublicKey, attempts: UInt32)
    /// Data went unanswered for 15 s.
    case noAnswer(PublicKey)
    /// All keys of a peer were wiped by age.
    case keysWiped(PublicKey)
    /// A handshake message was refused: by its MACs or the source's rate (nil), or for a reason.
    case handshakeRefused(SocketAddress, HandshakeError?)
    /// A cookie went out instead of an answer.
    case cookieReplySent(SocketAddress)
    /// A cookie came in.
    case cookieReplyConsumed(PublicKey)
}
