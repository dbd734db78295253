import Packets
import WireGuardCrypto

/// A handshake that we began: what must be kept from the initiation until its response comes.
///
///     <- s
///     ...
///     -> e, es, s, ss, {t}
///     <- e, ee, se, psk, {}
///
/// Noise_IKpsk2 (§5.4.2, §5.4.3); the MACs behind the messages are not its matter.
package struct InitiatorHandshake: ~Copyable {
    /// How the response will name this handshake, and later the peer its keypair.
    package let localIndex: ReceiverIndex
    private let state: SymmetricState
    private let ephemeral: PrivateKey

    /// Writes an initiation, without its MACs, to the first bytes of `message`.
    ///
    /// - Parameters:
    ///   - staticStatic: DH(our static key, the peer's).
    ///   - ephemeral: a key made for this message alone.
    package static func create(
        identity: StaticIdentity, responder: PublicKey,
        staticStatic: StaticStatic, ephemeral: consuming PrivateKey, timestamp: TAI64N,
        localIndex: ReceiverIndex, into message: inout MutableRawSpan
    ) throws(HandshakeError) -> InitiatorHandshake {
        var state = SymmetricState(responder: responder)
        message.store(littleEndian: MessageType.handshakeInitiation.rawValue, at: 0)
        message.store(littleEndian: localIndex.rawValue, at: HandshakeInitiation.sender)

        // e: C := Kdf1(C, E_i), H := Hash(H ‖ E_i)
        let ephemeralPublic = ephemeral.publicKey
        message.copy(ephemeralPublic.bytes, at: HandshakeInitiation.ephemeral)
        state.mixKey(ephemeralPublic.bytes)
        state.mixHash(ephemeralPublic.bytes)

        // es: (C, k) := Kdf2(C, DH(e_i, S_r))
        let es = try ephemeral.sharedSecret(with: responder)
        let staticKey = state.mixKeyDerivingKey(es)

        // s: AEAD(k, 0, S_i, H)
        state.seal(
            identity.publicKey.bytes, key: staticKey, into: &message,
            at: HandshakeInitiation.encryptedStatic)

        // ss: (C, k) := Kdf2(C, DH(s_i, S_r))
        let timestampKey = state.mixKeyDerivingKey(staticStatic.secret)

        // {t}: AEAD(k, 0, timestamp, H)
        var timestampStorage = InlineArray<12, UInt8>(repeating: 0)
        var timestampSpan = timestampStorage.mutableSpan
        // Bytes have no padding.
        var timestampBytes = unsafe timestampSpan.mutableBytes
        timestamp.store(to: &timestampBytes)
        state.seal(
            timestampBytes.bytes, key: timestampKey, into: &message,
            at: HandshakeInitiation.encryptedTimestamp)
        return InitiatorHandshake(localIndex: localIndex, state: state, ephemeral: ephemeral)
    }

    /// Opens the response. The handshake is as it was if that fails: anyone who saw the index could
    /// have sent it.
    ///
    /// - Parameter message: as long as a response, its MACs checked.
    package borrowing func consumeResponse(
        _ message: RawSpan, identity: StaticIdentity,
        presharedKey: borrowing PresharedKey
    ) throws(HandshakeError) -> SessionKeys {
        var state = state.copy()

        // e: C := Kdf1(C, E_r), H := Hash(H ‖ E_r)
        let ephemeralPublic = PublicKey(message: message, at: HandshakeResponse.ephemeral)
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
        try state.open(
            message.extracting(HandshakeResponse.encryptedNothing..<HandshakeResponse.mac1),
            key: key, into: &nothing)

        return SessionKeys(
            state.split(), role: .initiator, localIndex: localIndex,
            remoteIndex: ReceiverIndex(
                rawValue: message.loadLittleEndian(at: HandshakeResponse.sender, as: UInt32.self)))
    }
}
