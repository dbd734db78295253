import WireGuardCrypto

/// The device's static key pair.
package final class StaticIdentity: Sendable {
    package let privateKey: PrivateKey
    package let publicKey: PublicKey

    package init(_ privateKey: consuming PrivateKey) {
        publicKey = privateKey.publicKey
        self.privateKey = privateKey
    }
}

/// DH(our static key, a peer's), which is the same for all handshakes with the peer.
package final class StaticStatic: Sendable {
    let secret: Secret32

    package init(_ identity: StaticIdentity, _ peer: PublicKey) throws(HandshakeError) {
        secret = try identity.privateKey.sharedSecret(with: peer)
    }
}
