import Packets
import WireGuardCrypto

/// Checks the MACs of initiations and responses that this host receives, and creates cookie replies
/// under load. A sender that uses its cookie proves that it owns its address (§5.3, §5.4.4, §5.4.7).
///
///     mac1 := Mac(Hash("mac1----" ‖ our public key), message up to mac1)
///     cookie := Mac(secret, source address ‖ port)
///     mac2 := Mac(cookie, message up to mac2)
///
/// The checker keeps no state per source: it recomputes the cookie of a source from the secret. It
/// creates cookies from a secret for 120 s, and accepts them for another 5 s.
package struct CookieChecker: ~Copyable, Sendable {
    private let mac1: MAC1Check
    private let cookieKey: Bytes32
    private var current: AgedSecret?
    private var previous: AgedSecret?

    private struct AgedSecret: ~Copyable, Sendable {
        let secret: Secret32
        let birth: Instant
    }

    /// Creates the checker of a host with this static key.
    package init(publicKey: PublicKey) {
        mac1 = MAC1Check(publicKey: publicKey)
        cookieKey = CookieKeys.cookieKey(for: publicKey)
    }

    /// Whether mac1 is valid: the sender knows our public key.
    package borrowing func hasValidMAC1(_ macs: MACs) -> Bool {
        mac1.accepts(macs)
    }

    /// Whether mac2 is valid: the sender received one of our cookies at the address it sends from.
    package borrowing func hasValidMAC2(
        _ macs: MACs, from source: SocketAddress, now: Instant
    ) -> Bool {
        Self.accepts(macs, from: source, under: current, now: now)
            || Self.accepts(macs, from: source, under: previous, now: now)
    }

    /// Writes the reply to a message with a valid mac1 to the first bytes of `reply`.
    ///
    /// - Parameters:
    ///   - macs: the MACs of the message.
    ///   - sender: the sender index of the message.
    /// - Precondition: `reply` has at least ``CookieReply/byteCount`` bytes.
    package mutating func makeReply(
        to macs: MACs, sender: ReceiverIndex, from source: SocketAddress, now: Instant,
        random: inout some RandomSource, into reply: inout MutableRawSpan
    ) {
        renewSecret(now: now, random: &random)
        guard let secret = current?.secret.bytes else { return }
        let cookie = Self.cookie(of: source, under: secret)
        var nonce = InlineArray<24, UInt8>(repeating: 0)
        var nonceSpan = nonce.mutableSpan
        // Bytes have no padding.
        var nonceBytes = unsafe nonceSpan.mutableBytes
        random.fill(&nonceBytes)
        var writer = CookieReply.Writer(&reply, receiver: sender, nonce: nonceBytes.bytes)
        var encryptedCookie = writer.encryptedCookie
        XChaCha20Poly1305.seal(
            cookie.bytes, additionalData: macs.mac1, nonce: nonceBytes.bytes,
            key: cookieKey.bytes, into: &encryptedCookie, at: 0)
    }

    /// Wipes the secrets: cookies made from them are no longer accepted.
    package mutating func wipeSecrets() {
        current = nil
        previous = nil
    }

    private mutating func renewSecret(now: Instant, random: inout some RandomSource) {
        if let birth = current?.birth, now.since(birth) < Self.secretLife { return }
        previous = current.take()
        current = AgedSecret(secret: Secret32(random: &random), birth: now)
    }

    private static func accepts(
        _ macs: MACs, from source: SocketAddress, under secret: borrowing AgedSecret?,
        now: Instant
    ) -> Bool {
        switch secret {
        case .none:
            return false
        case .some(let secret):
            guard now.since(secret.birth) < secretLife + secretGrace else { return false }
            let cookie = cookie(of: source, under: secret.secret.bytes)
            let mac2 = BLAKE2s.mac(key: cookie.bytes, macs.coveredByMAC2)
            return ConstantTime.equal(mac2.bytes, macs.mac2)
        }
    }

    /// Mac(secret, address ‖ port): 4 or 16 bytes and 2 bytes, in network byte order.
    private static func cookie(of source: SocketAddress, under secret: RawSpan) -> Bytes16 {
        var storage = InlineArray<18, UInt8>(repeating: 0)
        var span = storage.mutableSpan
        // Bytes have no padding.
        var bytes = unsafe span.mutableBytes
        let count: Int
        switch source.address {
        case .v4(let address):
            bytes.store(bigEndian: address.bits, at: 0)
            count = 4
        case .v6(let address):
            bytes.store(bigEndian: address.high, at: 0)
            bytes.store(bigEndian: address.low, at: 8)
            count = 16
        }
        bytes.store(bigEndian: source.port, at: count)
        let all = unsafe storage.span.bytes
        return BLAKE2s.mac(key: secret, all.extracting(0..<(count + 2)))
    }

    /// How long cookies are created from a secret.
    package static let secretLife = Interval.seconds(120)
    /// How much longer its cookies are accepted, so that the last ones can still be used.
    package static let secretGrace = Interval.seconds(5)
}
