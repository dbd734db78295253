import Packets
import WireGuardCrypto

/// The side that is asked: checks the MACs of initiations and responses to it, and under load answers
/// with a cookie, which proves that the sender owns its address (§5.3, §5.4.4, §5.4.7).
///
///     mac1 := Mac(Hash("mac1----" ‖ our public key), message up to mac1)
///     cookie := Mac(secret, source address ‖ port)
///     mac2 := Mac(cookie, message up to mac2)
///
/// It keeps nothing per source: the cookie of a source can be computed again as long as the secret
/// lives. A secret makes cookies for 120 s and is accepted for 5 s more.
package struct CookieChecker: ~Copyable, Sendable {
    private let mac1Key: Bytes32
    private let cookieKey: Bytes32
    private var current: AgedSecret?
    private var previous: AgedSecret?

    private struct AgedSecret: ~Copyable, Sendable {
        let secret: Secret32
        let birth: Instant
    }

    /// A checker of messages to the owner of `publicKey`.
    package init(publicKey: PublicKey) {
        mac1Key = CookieKeys.mac1Key(for: publicKey)
        cookieKey = CookieKeys.cookieKey(for: publicKey)
    }

    /// Whether the sender of a message knows our public key. The message is longer than its MACs.
    package borrowing func hasValidMAC1(_ message: RawSpan) -> Bool {
        let end = MACs.mac1Offset(in: message)
        let mac1 = BLAKE2s.mac(key: mac1Key.bytes, message.extracting(0..<end))
        return ConstantTime.equal(
            mac1.bytes, message.extracting(end..<(end + BLAKE2s.macSize)))
    }

    /// Whether the sender of a message got a cookie of ours at the address that it sends from.
    package borrowing func hasValidMAC2(
        _ message: RawSpan, from source: SocketAddress, now: Instant
    ) -> Bool {
        let end = MACs.mac2Offset(in: message)
        let content = message.extracting(0..<end)
        let mac2 = message.extracting(end..<(end + BLAKE2s.macSize))
        return Self.accepts(mac2, of: content, from: source, under: current, now: now)
            || Self.accepts(mac2, of: content, from: source, under: previous, now: now)
    }

    /// Writes the cookie reply to a message whose mac1 is valid, 64 bytes from the start of `reply`.
    ///
    /// - Parameter receiver: the sender index of the message.
    package mutating func makeReply(
        to message: RawSpan, receiver: UInt32, from source: SocketAddress, now: Instant,
        random: inout some RandomSource, into reply: inout MutableRawSpan
    ) {
        precondition(reply.byteCount >= CookieReply.byteCount)
        renewSecret(now: now, random: &random)
        guard let secret = current?.secret.bytes else { return }
        let cookie = Self.cookie(of: source, under: secret)
        let mac1 = message.extracting(
            MACs.mac1Offset(in: message)..<MACs.mac2Offset(in: message))
        var nonce = InlineArray<24, UInt8>(repeating: 0)
        var nonceSpan = nonce.mutableSpan
        // Bytes have no padding.
        var nonceBytes = unsafe nonceSpan.mutableBytes
        random.fill(&nonceBytes)
        reply.store(littleEndian: MessageType.cookieReply.rawValue, at: 0)
        reply.store(littleEndian: receiver, at: CookieReply.receiver)
        unsafe reply.copy(nonce.span.bytes, at: CookieReply.nonce.lowerBound)
        unsafe XChaCha20Poly1305.seal(
            cookie.bytes, additionalData: mac1, nonce: nonce.span.bytes, key: cookieKey.bytes,
            into: &reply, at: CookieReply.encryptedCookie.lowerBound)
    }

    private mutating func renewSecret(now: Instant, random: inout some RandomSource) {
        if let birth = current?.birth, now.since(birth) < Self.secretLife { return }
        previous = current.take()
        current = AgedSecret(secret: Secret32(random: &random), birth: now)
    }

    private static func accepts(
        _ mac2: RawSpan, of content: RawSpan, from source: SocketAddress,
        under secret: borrowing AgedSecret?, now: Instant
    ) -> Bool {
        switch secret {
        case .none:
            return false
        case .some(let secret):
            guard now.since(secret.birth) < secretLife + secretGrace else { return false }
            let cookie = cookie(of: source, under: secret.secret.bytes)
            return ConstantTime.equal(BLAKE2s.mac(key: cookie.bytes, content).bytes, mac2)
        }
    }

    /// Mac(secret, address ‖ port), the address as 4 or 16 bytes, all in network byte order.
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

    /// For how long a secret makes cookies.
    package static let secretLife = Interval.seconds(120)
    /// For how long a secret is accepted beyond that: a cookie that was just made must not fail.
    package static let secretGrace = Interval.seconds(5)
}
