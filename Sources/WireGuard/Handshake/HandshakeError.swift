/// Why a handshake message was not accepted; nothing changed then.
public enum HandshakeError: Int, Error, CaseIterable, Sendable, BitwiseCopyable {
    /// A tag is wrong: forged, or meant for other keys or another preshared key.
    case notAuthentic
    /// A Diffie-Hellman result is all zero: the other key is of low order.
    case zeroSharedSecret
    /// The static key in the initiation belongs to no peer.
    case unknownPeer
    /// The timestamp does not grow: a replay, or the peer's clock was set back.
    case replayedTimestamp
    /// Less than 20 ms since the peer's last initiation.
    case tooSoon
    /// No handshake of ours waits under this index.
    case unknownIndex
}
