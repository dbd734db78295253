import CSodium

/// X25519 (RFC 7748), the Diffie-Hellman function DH of the paper.
package enum Curve25519 {
    /// DH(`privateKey`, `publicKey`). Throws ``CryptographyError/zeroSharedSecret`` if the result is all
    /// zero. That is the result for all public keys of low order, so it is not secret.
    package static func sharedSecret(
        _ privateKey: borrowing PrivateKey, _ publicKey: PublicKey
    ) throws(CryptographyError) -> Secret32 {
        let result = Secret32()
        let status = unsafe publicKey.bytes.withUnsafeBytes { point in
            // Each pointer refers to 32 bytes, and none overlap.
            unsafe crypto_scalarmult_curve25519(
                result.address, privateKey.secret.address, point.address)
        }
        // libsodium refuses these points too. The second check does not rely on that.
        guard status == 0, !result.isZero else { throw .zeroSharedSecret }
        return result
    }

    /// The public key of `privateKey`: the product of key and base point.
    package static func publicKey(of privateKey: borrowing PrivateKey) -> PublicKey {
        let scalar = unsafe privateKey.secret.address
        let point = Bytes32 { bytes in
            unsafe bytes.withUnsafeMutableBytes { point in
                // Both have 32 bytes. This cannot fail: the base point is not of low order.
                _ = unsafe crypto_scalarmult_curve25519_base(point.address, scalar)
            }
        }
        return PublicKey(point)
    }
}
