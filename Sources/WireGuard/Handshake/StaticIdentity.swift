import WireGuardCrypto

/// The device's own long-term key pair.
struct StaticIdentity: ~Copyable {
    let privateKey: PrivateKey
    let publicKey: PublicKey

    init(_ privateKey: consuming PrivateKey) {
        publicKey = privateKey.publicKey
        self.privateKey = privateKey
    }
}
