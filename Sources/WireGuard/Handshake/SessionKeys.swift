import Packets
import WireGuardCrypto

/// The result of a handshake: the keys of both directions and the indices of both hosts.
package struct SessionKeys: ~Copyable {
    package let sending: SymmetricKey
    package let receiving: SymmetricKey
    package let localIndex: ReceiverIndex
    package let remoteIndex: ReceiverIndex
    let role: Keypair.Role

    init(
        _ keys: consuming SymmetricState.TransportKeys, role: Keypair.Role,
        localIndex: ReceiverIndex, remoteIndex: ReceiverIndex
    ) {
        switch role {
        case .initiator:
            sending = keys.initiator
            receiving = keys.responder
        case .responder:
            sending = keys.responder
            receiving = keys.initiator
        }
        self.role = role
        self.localIndex = localIndex
        self.remoteIndex = remoteIndex
    }

    /// The keypair of the session, whose age counts from `created`.
    consuming func makeKeypair(peer: PeerSlot, created: Instant) -> Keypair {
        Keypair(
            peer: peer, role: role, localIndex: localIndex, remoteIndex: remoteIndex,
            created: created, sending: sending, receiving: receiving)
    }
}

extension PrivateKey {
    /// DH(ours, `other`). A zero result ends the handshake.
    borrowing func sharedSecret(with other: PublicKey) throws(HandshakeError) -> Secret32 {
        do {
            return try Curve25519.sharedSecret(self, other)
        } catch {
            throw .zeroSharedSecret
        }
    }
}

extension PublicKey {
    /// The key in the 32 bytes of `message` from `offset` on.
    ///
    /// - Precondition: `message` has these bytes.
    init(message: RawSpan, at offset: Int) {
        guard let key = PublicKey(bytes: message.extracting(offset..<offset + PublicKey.byteCount))
        else { preconditionFailure("any 32 bytes are a key") }
        self = key
    }
}
