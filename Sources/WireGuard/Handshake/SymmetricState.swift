import WireGuardCrypto

/// The chaining key C and the hash H that both ends of a handshake carry from token to token
/// (§5.4.1; "SymmetricState" in the Noise specification). Wiped when it is destroyed.
struct SymmetricState: ~Copyable {
    private(set) var chainingKey: Secret32
    private(set) var hash: Bytes32

    /// C := Hash(construction), H := Hash(Hash(C ‖ identifier) ‖ the responder's static public key).
    init(responder: PublicKey) {
        chainingKey = Secret32(copying: Self.start.chainingKey.bytes)
        hash = BLAKE2s.hash(Self.start.hash.bytes, responder.bytes)
    }

    private init(chainingKey: consuming Secret32, hash: Bytes32) {
        self.chainingKey = chainingKey
        self.hash = hash
    }

    /// The initial C, and Hash(C ‖ identifier): the same for all handshakes.
    private static let start: (chainingKey: Bytes32, hash: Bytes32) = {
        let construction = Array("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s".utf8)
        let identifier = Array("WireGuard v1 zx2c4 Jason@zx2c4.com".utf8)
        // Bytes have no padding.
        let chainingKey = BLAKE2s.hash(unsafe construction.span.bytes)
        return (chainingKey, BLAKE2s.hash(chainingKey.bytes, unsafe identifier.span.bytes))
    }()

    /// A copy to work on, so that a forged message does not change the original.
    borrowing func copy() -> SymmetricState {
        SymmetricState(chainingKey: chainingKey.copy(), hash: hash)
    }

    /// H := Hash(H ‖ `data`).
    mutating func mixHash(_ data: RawSpan) {
        hash = BLAKE2s.hash(hash.bytes, data)
    }

    /// C := Kdf1(C, `input`).
    mutating func mixKey(_ input: RawSpan) {
        KDF.kdf1(chainingKey: &chainingKey, input: input)
    }

    /// (C, k) := Kdf2(C, `input`).
    mutating func mixKeyDerivingKey(_ input: borrowing Secret32) -> Secret32 {
        var key = Secret32()
        KDF.kdf2(chainingKey: &chainingKey, input: input.bytes, key: &key)
        return key
    }

    /// (C, t, k) := Kdf3(C, Q), H := Hash(H ‖ t).
    mutating func mixPresharedKey(_ presharedKey: borrowing PresharedKey) -> Secret32 {
        var hashed = Secret32()
        var key = Secret32()
        KDF.kdf3(chainingKey: &chainingKey, input: presharedKey.bytes, hash: &hashed, key: &key)
        mixHash(hashed.bytes)
        return key
    }

    /// Writes AEAD(k, 0, `plaintext`, H) to `field`, then H := Hash(H ‖ `field`).
    ///
    /// - Precondition: `field` is as long as `plaintext` and a tag.
    mutating func seal(
        _ plaintext: RawSpan, key: borrowing Secret32, into field: inout MutableRawSpan
    ) {
        precondition(field.byteCount == plaintext.byteCount + ChaCha20Poly1305.tagSize)
        ChaCha20Poly1305.seal(
            plaintext, additionalData: hash.bytes, counter: 0, key: key, into: &field, at: 0)
        mixHash(field.bytes)
    }

    /// Opens what `seal` wrote to a field.
    mutating func open(
        _ ciphertext: RawSpan, key: borrowing Secret32, into plaintext: inout MutableRawSpan
    ) throws(HandshakeError) {
        do {
            try ChaCha20Poly1305.open(
                ciphertext, additionalData: hash.bytes, counter: 0, key: key, into: &plaintext)
        } catch {
            throw .notAuthentic
        }
        mixHash(ciphertext)
    }

    /// (T1, T2) := Kdf2(C, ε): the initiator sends under T1, the responder under T2 (§5.4.5).
    consuming func split() -> TransportKeys {
        var first = Secret32()
        var second = Secret32()
        KDF.kdf2(key: chainingKey.bytes, input: RawSpan(), into: &first, &second)
        return TransportKeys(initiator: SymmetricKey(first), responder: SymmetricKey(second))
    }

    /// The keys of both directions, named after the sender.
    struct TransportKeys: ~Copyable {
        let initiator: SymmetricKey
        let responder: SymmetricKey
    }
}
