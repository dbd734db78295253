import CSodium

/// X25519, the Diffie-Hellman function of RFC 7748.
package enum Curve25519 {
    /// DH(`privateKey`, `publicKey`). Throws ``CryptographyError/zeroSharedSecret`` if the result is
    /// all zero, as it is for every public key of low order: such a secret is known to everybody.
    package static func sharedSecret(
        _ privateKey: borrowing PrivateKey, _ publicKey: PublicKey
    ) throws(CryptographyError) -> Secret32 {
        let result = Secret32()
        let status = unsafe publicKey.bytes.withUnsafeBytes { point in
            // Three times 32 bytes, none of which overlap.
            unsafe crypto_scalarmult_curve25519(
                result.address, privateKey.secret.address, point.address)
        }
        // libsodium refuses these points itself; the second test holds without that.
        guard status == 0, !result.isZero else { throw .zeroSharedSecret }
        return result
    }

    /// The public key of `privateKey`: its product with the base point.
    package static func publicKey(of privateKey: borrowing PrivateKey) -> PublicKey {
        let scalar = unsafe privateKey.secret.address
        let point = Bytes32 { bytes in
            unsafe bytes.withUnsafeMutableBytes { point in
                // Twice 32 bytes. The base point has no low order: it cannot fail.
                _ = unsafe crypto_scalarmult_curve25519_base(point.address, scalar)
            }
        }
        return PublicKey(point)
    }
}
