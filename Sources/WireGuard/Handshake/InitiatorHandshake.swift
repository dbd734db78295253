import Packets
import WireGuardCrypto

/// A handshake that this host started: the state from the initiation until its response.
///
///     <- s
///     ...
///     -> e, es, s, ss, {t}
///     <- e, ee, se, psk, {}
///
/// Noise_IKpsk2 (§5.4.2, §5.4.3). ``LatestCookie`` adds the MACs.
package struct InitiatorHandshake: ~Copyable {
    /// The receiver index of the response, and of the peer's messages in the new session.
    package let localIndex: ReceiverIndex
    private let state: SymmetricState
    private let ephemeral: PrivateKey

    /// Writes an initiation without MACs to the first bytes of `message`.
    ///
    /// - Parameters:
    ///   - staticStatic: DH(our static key, the responder's).
    ///   - ephemeral: a new key, for this message only.
    /// - Throws: ``HandshakeError/zeroSharedSecret``.
    package static func create(
        identity: StaticIdentity, responder: PublicKey,
        staticStatic: StaticStatic, ephemeral: consuming PrivateKey, timestamp: TAI64N,
        localIndex: ReceiverIndex, into message: inout MutableRawSpan
    ) throws(HandshakeError) -> InitiatorHandshake {
        var state = SymmetricState(responder: responder)
        var writer = HandshakeInitiation.Writer(&message, sender: localIndex)

        // e: C := Kdf1(C, E_i), H := Hash(H ‖ E_i)
        let ephemeralPublic = ephemeral.publicKey
        writer.store(ephemeral: ephemeralPublic)
        state.mixKey(ephemeralPublic.bytes)
        state.mixHash(ephemeralPublic.bytes)

        // es: (C, k) := Kdf2(C, DH(e_i, S_r))
        let es = try ephemeral.sharedSecret(with: responder)
        let staticKey = state.mixKeyDerivingKey(es)

        // s: AEAD(k, 0, S_i, H)
        var encryptedStatic = writer.encryptedStatic
        state.seal(identity.publicKey.bytes, key: staticKey, into: &encryptedStatic)

        // ss: (C, k) := Kdf2(C, DH(s_i, S_r))
        let timestampKey = state.mixKeyDerivingKey(staticStatic.secret)

        // {t}: AEAD(k, 0, timestamp, H)
        var timestampStorage = InlineArray<12, UInt8>(repeating: 0)
        var timestampSpan = timestampStorage.mutableSpan
        // Bytes have no padding.
        var timestampBytes = unsafe timestampSpan.mutableBytes
        timestamp.store(to: &timestampBytes)
        var encryptedTimestamp = writer.encryptedTimestamp
        state.seal(timestampBytes.bytes, key: timestampKey, into: &encryptedTimestamp)
        return InitiatorHandshake(localIndex: localIndex, state: state, ephemeral: ephemeral)
    }

    /// Opens the response, whose MACs the caller has checked.
    ///
    /// A failure leaves the handshake unchanged: anyone who saw the index could have sent `response`.
    ///
    /// - Throws: ``HandshakeError/notAuthentic`` or ``HandshakeError/zeroSharedSecret``.
    package borrowing func consumeResponse(
        _ response: HandshakeResponse, identity: StaticIdentity,
        presharedKey: borrowing PresharedKey
    ) throws(HandshakeError) -> SessionKeys {
        var state = state.copy()

        // e: C := Kdf1(C, E_r), H := Hash(H ‖ E_r)
        let ephemeralPublic = response.ephemeral
        state.mixKey(ephemeralPublic.bytes)
        state.mixHash(ephemeralPublic.bytes)

        // ee: C := Kdf1(C, DH(e_i, E_r))
        let ee = try ephemeral.sharedSecret(with: ephemeralPublic)
        state.mixKey(ee.bytes)

        // se: C := Kdf1(C, DH(s_i, E_r))
        let se = try identity.privateKey.sharedSecret(with: ephemeralPublic)
        state.mixKey(se.bytes)

        // psk: (C, t, k) := Kdf3(C, Q), H := Hash(H ‖ t)
        let key = state.mixPresharedKey(presharedKey)

        // {}: AEAD(k, 0, ε, H)
        var nothing = MutableRawSpan()
        try state.open(response.encryptedNothing, key: key, into: &nothing)

        return SessionKeys(
            state.split(), role: .initiator, localIndex: localIndex,
            remoteIndex: response.sender)
    }
}
