import WireGuardCrypto

/// The device's own long-term key pair.
final class StaticIdentity: Sendable {
    let privateKey: PrivateKey
    let publicKey: PublicKey

    init(_ privateKey: consuming PrivateKey) {
        publicKey = privateKey.publicKey
        self.privateKey = privateKey
    }
}

/// DH(our static key, a peer's): the same for all handshakes with it.
final class StaticStatic: Sendable {
    let secret: Secret32

    init(_ identity: StaticIdentity, _ peer: PublicKey) throws(HandshakeError) {
        secret = try identity.privateKey.sharedSecret(with: peer)
    }
}
