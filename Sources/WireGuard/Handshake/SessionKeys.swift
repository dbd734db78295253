import Packets
import WireGuardCrypto

/// What a finished handshake leaves: two keys and the indices of both ends.
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

    /// The keypair of the session, which begins to age now.
    consuming func makeKeypair(peer: PeerSlot, created: Instant) -> Keypair {
        Keypair(
            peer: peer, role: role, localIndex: localIndex, remoteIndex: remoteIndex,
            created: created, sending: sending, receiving: receiving)
    }
}

extension PrivateKey {
    /// DH(ours, `other`) for a handshake, in which a zero result is the end.
    borrowing func sharedSecret(with other: PublicKey) throws(HandshakeError) -> Secret32 {
        do {
            return try Curve25519.sharedSecret(self, other)
        } catch {
            throw .zeroSharedSecret
        }
    }
}

extension PublicKey {
    /// The 32 bytes of `message` from `offset`, which its length was checked to hold.
    init(message: RawSpan, at offset: Int) {
        guard let key = PublicKey(bytes: message.extracting(offset..<offset + PublicKey.byteCount))
        else { preconditionFailure("32 bytes are a key") }
        self = key
    }
}
