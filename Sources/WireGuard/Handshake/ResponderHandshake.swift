import Packets
import WireGuardCrypto

/// A handshake that a peer started, from its initiation to our response.
///
/// Each step consumes one state and returns the next, so a response can be created only from an
/// initiation whose timestamp was verified. The device looks up the peer between the steps: by the
/// static key that the first one opens, it finds what the next ones need.
///
///     Received ── openTimestamp ─▶ Authentic ── verifyTimestamp ─▶ Verified ── createResponse ─▶ keys
package enum ResponderHandshake {
    /// An initiation whose static key is open. Anyone can seal a static key, so `initiator` is only
    /// a claim.
    package struct Received: ~Copyable, ~Escapable {
        /// The claimed initiator.
        package let initiator: PublicKey
        private let initiation: HandshakeInitiation
        private let state: SymmetricState

        /// Opens the static key of an initiation, whose MACs the caller has checked: tokens e, es, s.
        ///
        /// - Throws: ``HandshakeError/notAuthentic`` or ``HandshakeError/zeroSharedSecret``.
        @_lifetime(copy initiation)
        package init(
            _ initiation: HandshakeInitiation, identity: StaticIdentity
        ) throws(HandshakeError) {
            var state = SymmetricState(responder: identity.publicKey)

            // e: C := Kdf1(C, E_i), H := Hash(H ‖ E_i)
            let ephemeral = initiation.ephemeral
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
            try state.open(initiation.encryptedStatic, key: key, into: &initiatorBytes)

            self.initiator = PublicKey(message: initiatorBytes.bytes, at: 0)
            self.initiation = initiation
            self.state = state
        }

        /// Opens the timestamp, which authenticates the initiator: tokens ss and {t}.
        ///
        /// - Parameter staticStatic: DH(our static key, the initiator's).
        /// - Throws: ``HandshakeError/notAuthentic``.
        package consuming func openTimestamp(
            staticStatic: StaticStatic
        ) throws(HandshakeError) -> Authentic {
            var state = state.copy()
            // ss: (C, k) := Kdf2(C, DH(s_r, S_i))
            let key = state.mixKeyDerivingKey(staticStatic.secret)
            // {t}: AEAD(k, 0, timestamp, H)
            var timestamp = InlineArray<12, UInt8>(repeating: 0)
            var span = timestamp.mutableSpan
            // Bytes have no padding.
            var bytes = unsafe span.mutableBytes
            try state.open(initiation.encryptedTimestamp, key: key, into: &bytes)
            return Authentic(
                timestamp: TAI64N(bytes.bytes), initiator: initiator,
                ephemeral: initiation.ephemeral, index: initiation.sender, state: state)
        }
    }

    /// An initiation that the initiator made, now or in the past: it may be a replay.
    package struct Authentic: ~Copyable {
        package let timestamp: TAI64N
        fileprivate let initiator: PublicKey
        fileprivate let ephemeral: PublicKey
        fileprivate let index: ReceiverIndex
        fileprivate let state: SymmetricState

        fileprivate init(
            timestamp: TAI64N, initiator: PublicKey, ephemeral: PublicKey, index: ReceiverIndex,
            state: consuming SymmetricState
        ) {
            self.timestamp = timestamp
            self.initiator = initiator
            self.ephemeral = ephemeral
            self.index = index
            self.state = state
        }

        /// Checks that the timestamp is greater than any that the initiator sent before.
        ///
        /// - Parameter greatest: the greatest timestamp accepted from the initiator, nil for none.
        /// - Throws: ``HandshakeError/replayedTimestamp``.
        package consuming func verifyTimestamp(
            after greatest: TAI64N?
        ) throws(HandshakeError) -> Verified {
            if let greatest, timestamp <= greatest { throw .replayedTimestamp }
            return Verified(self)
        }
    }

    /// An authentic initiation that is no replay.
    package struct Verified: ~Copyable {
        private let initiation: Authentic

        fileprivate init(_ initiation: consuming Authentic) {
            self.initiation = initiation
        }

        package var timestamp: TAI64N { initiation.timestamp }

        /// Writes a response without MACs to the first bytes of `message`, and derives the keys.
        ///
        /// - Parameter ephemeral: a new key, for this message only.
        /// - Throws: ``HandshakeError/zeroSharedSecret``.
        package consuming func createResponse(
            ephemeral: consuming PrivateKey, presharedKey: borrowing PresharedKey,
            localIndex: ReceiverIndex, into message: inout MutableRawSpan
        ) throws(HandshakeError) -> SessionKeys {
            var state = initiation.state.copy()
            var writer = HandshakeResponse.Writer(
                &message, sender: localIndex, receiver: initiation.index)

            // e: C := Kdf1(C, E_r), H := Hash(H ‖ E_r)
            let ephemeralPublic = ephemeral.publicKey
            writer.store(ephemeral: ephemeralPublic)
            state.mixKey(ephemeralPublic.bytes)
            state.mixHash(ephemeralPublic.bytes)

            // ee: C := Kdf1(C, DH(e_r, E_i))
            let ee = try ephemeral.sharedSecret(with: initiation.ephemeral)
            state.mixKey(ee.bytes)

            // se: C := Kdf1(C, DH(e_r, S_i))
            let se = try ephemeral.sharedSecret(with: initiation.initiator)
            state.mixKey(se.bytes)

            // psk: (C, t, k) := Kdf3(C, Q), H := Hash(H ‖ t)
            let key = state.mixPresharedKey(presharedKey)

            // {}: AEAD(k, 0, ε, H)
            var encryptedNothing = writer.encryptedNothing
            state.seal(RawSpan(), key: key, into: &encryptedNothing)

            return SessionKeys(
                state.split(), role: .responder, localIndex: localIndex,
                remoteIndex: initiation.index)
        }
    }
}
