import Packets
import WireGuardCrypto

/// The side that asks: puts the MACs on its initiations and responses to one peer, with the cookie
/// that the peer last sent.
///
/// A cookie reply counts only if it answers the mac1 of the last message, and only once: an attacker
/// on the way may repeat it, and must not have an old cookie come back (§5.4.7).
package struct LatestCookie: ~Copyable, Sendable {
    private let mac1Key: Bytes32
    private let cookieKey: Bytes32
    /// The mac1 of the last message, as long as nothing has answered it.
    private var unansweredMAC1: Bytes16?
    /// The cookie, in the first 16 bytes.
    private var cookie: Secret32?
    private var cookieBirth = Instant(nanoseconds: 0)

    /// A user of the cookies of the owner of `publicKey`.
    package init(publicKey: PublicKey) {
        mac1Key = CookieKeys.mac1Key(for: publicKey)
        cookieKey = CookieKeys.cookieKey(for: publicKey)
    }

    /// Writes mac1 and mac2 to the last 32 bytes of a message that is complete but for them.
    package mutating func addMACs(to message: inout MutableRawSpan, now: Instant) {
        let mac1Offset = MACs.mac1Offset(in: message.bytes)
        let mac1 = BLAKE2s.mac(key: mac1Key.bytes, message.bytes.extracting(0..<mac1Offset))
        message.copy(mac1.bytes, at: mac1Offset)
        unansweredMAC1 = mac1

        let mac2Offset = MACs.mac2Offset(in: message.bytes)
        var mac2 = Bytes16()
        if now.since(cookieBirth) >= Self.cookieLife { cookie = nil }
        switch cookie {
        case .none: break
        case .some(let cookie):
            mac2 = BLAKE2s.mac(
                key: cookie.bytes.extracting(0..<BLAKE2s.macSize),
                message.bytes.extracting(0..<mac2Offset))
        }
        message.copy(mac2.bytes, at: mac2Offset)
    }

    /// Takes the cookie out of a cookie reply, which is of 64 bytes and for an index of ours.
    ///
    /// - Returns: whether it was authentic and answered our last message.
    package mutating func consume(reply: RawSpan, now: Instant) -> Bool {
        guard reply.byteCount == CookieReply.byteCount, let mac1 = unansweredMAC1 else {
            return false
        }
        var cookie = Secret32()
        do throws(CryptographyError) {
            var bytes = cookie.mutableBytes
            try XChaCha20Poly1305.open(
                reply.extracting(CookieReply.encryptedCookie), additionalData: mac1.bytes,
                nonce: reply.extracting(CookieReply.nonce), key: cookieKey.bytes, into: &bytes)
        } catch {
            // Whoever sent it: as if it had not come.
            return false
        }
        unansweredMAC1 = nil
        self.cookie = consume cookie
        cookieBirth = now
        return true
    }

    /// To be called when a handshake message of the peer answered our last one, or when it no longer
    /// matters: from now on no cookie reply is taken.
    package mutating func expectNoReply() {
        unansweredMAC1 = nil
    }

    /// Whether a cookie reply would be looked at.
    package var isWaitingForReply: Bool { unansweredMAC1 != nil }

    /// For how long a cookie is used: five seconds less than its secret makes cookies.
    package static let cookieLife = Interval.seconds(115)
}
