import Packets
import WireGuardCrypto

/// Adds the MACs to the initiations and responses for one peer, using the peer's latest cookie.
///
/// A cookie reply is accepted only if it answers the mac1 of the last message, and only once: an
/// attacker in the middle must not be able to restore an old cookie by a replay (§5.4.7).
package struct LatestCookie: ~Copyable, Sendable {
    private let mac1Key: Bytes32
    private let cookieKey: Bytes32
    /// The mac1 of the last message; nil after an answer.
    private var unansweredMAC1: Bytes16?
    /// The cookie is in the first 16 bytes.
    private var cookie: Secret32?
    private var cookieBirth = Instant(nanoseconds: 0)

    /// Creates the state for the peer with this static key.
    package init(publicKey: PublicKey) {
        mac1Key = CookieKeys.mac1Key(for: publicKey)
        cookieKey = CookieKeys.cookieKey(for: publicKey)
    }

    /// Writes mac1 and mac2 to the last 32 bytes of a message that is otherwise complete.
    ///
    /// - Precondition: `message` has at least ``MACs/byteCount`` bytes.
    package mutating func addMACs(to message: inout MutableRawSpan, now: Instant) {
        let mac1 = BLAKE2s.mac(
            key: mac1Key.bytes, MACs(parsed: message.bytes).coveredByMAC1)
        MACs.store(mac1: mac1, into: &message)
        unansweredMAC1 = mac1

        var mac2 = Bytes16()
        if now.since(cookieBirth) >= Self.cookieLife { cookie = nil }
        switch cookie {
        case .none: break
        case .some(let cookie):
            mac2 = BLAKE2s.mac(
                key: cookie.bytes.extracting(0..<BLAKE2s.macSize),
                MACs(parsed: message.bytes).coveredByMAC2)
        }
        MACs.store(mac2: mac2, into: &message)
    }

    /// Takes the cookie from a reply to one of our indices.
    ///
    /// - Returns: whether the reply was authentic and answered our last message. If not, nothing
    ///   changed.
    package mutating func consume(_ reply: CookieReply, now: Instant) -> Bool {
        guard let mac1 = unansweredMAC1 else { return false }
        var cookie = Secret32()
        do throws(CryptographyError) {
            var bytes = cookie.mutableBytes
            try XChaCha20Poly1305.open(
                reply.encryptedCookie, additionalData: mac1.bytes, nonce: reply.nonce,
                key: cookieKey.bytes, into: &bytes)
        } catch {
            return false
        }
        unansweredMAC1 = nil
        self.cookie = consume cookie
        cookieBirth = now
        return true
    }

    /// Stops accepting cookie replies until the next message. Call this when the peer answered our
    /// last message, or when the message no longer matters.
    package mutating func expectNoReply() {
        unansweredMAC1 = nil
    }

    /// Whether a cookie reply can be accepted.
    package var isWaitingForReply: Bool { unansweredMAC1 != nil }

    /// How long a cookie is used: 5 s less than its creator uses the secret.
    package static let cookieLife = Interval.seconds(115)
}
