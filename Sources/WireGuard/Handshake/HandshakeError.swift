/// Why a handshake message was not accepted. A message that is not accepted changes no state.
public enum HandshakeError: Int, Error, CaseIterable, Sendable, BitwiseCopyable {
    /// A tag is wrong: the message is forged, or was made for other keys or another preshared key.
    case notAuthentic
    /// A Diffie-Hellman result is zero: the other public key has low order.
    case zeroSharedSecret
    /// The static key of the initiation is not the key of a peer.
    case unknownPeer
    /// The timestamp is not greater than the last one: a replay, or the peer's clock was set back.
    case replayedTimestamp
    /// The peer's last initiation was less than 20 ms ago.
    case tooSoon
    /// No initiation with this index waits for a response.
    case unknownIndex
}
