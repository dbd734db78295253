import Packets
import WireGuardCrypto

/// A handshake that a peer began: from its initiation to our response.
///
/// The steps are three, since the device must find the peer by the static key of the first before
/// it has what the second needs:
/// ``init(initiation:identity:)`` → ``openTimestamp(_:staticStatic:)`` →
/// ``createResponse(ephemeral:presharedKey:localIndex:into:)``.
package struct ResponderHandshake: ~Copyable {
    /// Who says that it is the initiator; authentic once the timestamp is open.
    package let initiator: PublicKey
    private let remoteIndex: ReceiverIndex
    private let remoteEphemeral: PublicKey
    private var state: SymmetricState

    /// Opens the static key of an initiation: tokens e, es, s.
    ///
    /// - Parameter message: as long as an initiation, its MACs checked.
    package init(initiation message: RawSpan, identity: StaticIdentity) throws(HandshakeError) {
        var state = SymmetricState(responder: identity.publicKey)

        // e: C := Kdf1(C, E_i), H := Hash(H ‖ E_i)
        let ephemeral = PublicKey(message: message, at: HandshakeInitiation.ephemeral)
        state.mixKey(ephemeral.bytes)
        state.mixHash(ephemeral.bytes)

        // es: (C, k) := Kdf2(C, DH(s_r, E_i))
        let es = try identity.privateKey.sharedSecret(with: ephemeral)
        let key = state.mixKeyDerivingKey(es)

        // s: AEAD(k, 0, S_i, H)
        var initiator = InlineArray<32, UInt8>(repeating: 0)
        var initiatorSpan = initiator.mutableSpan
        // Bytes have no padding.
        var initiatorBytes = unsafe initiatorSpan.mutableBytes
        try state.open(
            message.extracting(
                HandshakeInitiation.encryptedStatic..<HandshakeInitiation.encryptedTimestamp),
            key: key, into: &initiatorBytes)

        self.initiator = PublicKey(message: initiatorBytes.bytes, at: 0)
        self.state = state
        remoteEphemeral = ephemeral
        remoteIndex = ReceiverIndex(
            rawValue: message.loadLittleEndian(at: HandshakeInitiation.sender, as: UInt32.self))
    }

    /// Opens the timestamp, tokens ss and {t}: from here on the initiator is who it says.
    package mutating func openTimestamp(
        _ message: RawSpan, staticStatic: StaticStatic
    ) throws(HandshakeError) -> TAI64N {
        // ss: (C, k) := Kdf2(C, DH(s_r, S_i))
        let key = state.mixKeyDerivingKey(staticStatic.secret)
        // {t}: AEAD(k, 0, timestamp, H)
        var timestamp = InlineArray<12, UInt8>(repeating: 0)
        var span = timestamp.mutableSpan
        // Bytes have no padding.
        var bytes = unsafe span.mutableBytes
        try state.open(
            message.extracting(HandshakeInitiation.encryptedTimestamp..<HandshakeInitiation.mac1),
            key: key, into: &bytes)
        return TAI64N(unsafe timestamp.span.bytes)
    }

    /// Writes a response, without its MACs, to the first bytes of `message`, and derives the keys.
    package consuming func createResponse(
        ephemeral: consuming PrivateKey, presharedKey: borrowing PresharedKey,
        localIndex: ReceiverIndex, into message: inout MutableRawSpan
    ) throws(HandshakeError) -> SessionKeys {
        var state = state.copy()
        message.store(littleEndian: MessageType.handshakeResponse.rawValue, at: 0)
        message.store(littleEndian: localIndex.rawValue, at: HandshakeResponse.sender)
        message.store(littleEndian: remoteIndex.rawValue, at: HandshakeResponse.receiver)

        // e: C := Kdf1(C, E_r), H := Hash(H ‖ E_r)
        let ephemeralPublic = ephemeral.publicKey
        message.copy(ephemeralPublic.bytes, at: HandshakeResponse.ephemeral)
        state.mixKey(ephemeralPublic.bytes)
        state.mixHash(ephemeralPublic.bytes)

        // ee: C := Kdf1(C, DH(e_r, E_i))
        let ee = try ephemeral.sharedSecret(with: remoteEphemeral)
        state.mixKey(ee.bytes)

        // se: C := Kdf1(C, DH(e_r, S_i))
        let se = try ephemeral.sharedSecret(with: initiator)
        state.mixKey(se.bytes)

        // psk: (C, t, k) := Kdf3(C, Q), H := Hash(H ‖ t)
        let key = state.mixPresharedKey(presharedKey)

        // {}: AEAD(k, 0, ε, H)
        state.seal(RawSpan(), key: key, into: &message, at: HandshakeResponse.encryptedNothing)

        return SessionKeys(
            state.split(), role: .responder, localIndex: localIndex, remoteIndex: remoteIndex)
    }
}
