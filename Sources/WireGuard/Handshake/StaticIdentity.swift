import WireGuardCrypto

/// The device's own long-term key pair.
package final class StaticIdentity: Sendable {
    package let privateKey: PrivateKey
    package let publicKey: PublicKey

    package init(_ privateKey: consuming PrivateKey) {
        publicKey = privateKey.publicKey
        self.privateKey = privateKey
    }
}

/// DH(our static key, a peer's): the same for all handshakes with it.
package final class StaticStatic: Sendable {
    let secret: Secret32

    package init(_ identity: StaticIdentity, _ peer: PublicKey) throws(HandshakeError) {
        secret = try identity.privateKey.sharedSecret(with: peer)
    }
}
