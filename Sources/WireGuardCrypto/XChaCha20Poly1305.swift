import CSodium

/// XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) with a random nonce of 24 bytes, for the cookie
/// reply.
package enum XChaCha20Poly1305 {
    /// The bytes of a nonce.
    package static let nonceSize = 24
    /// The bytes that sealing adds.
    package static let tagSize = 16

    /// Seals `plaintext` to `output[offset...]`, the tag behind it: `plaintext.byteCount + 16` bytes.
    package static func seal(
        _ plaintext: RawSpan, additionalData: RawSpan, nonce: RawSpan, key: RawSpan,
        into output: inout MutableRawSpan, at offset: Int = 0
    ) {
        precondition(nonce.byteCount == nonceSize && key.byteCount == Secret32.byteCount)
        precondition(
            offset >= 0 && offset <= output.byteCount
                && plaintext.byteCount <= output.byteCount - offset - tagSize)
        unsafe output.withUnsafeMutableBytes { output in
            unsafe plaintext.withUnsafeBytes { plaintext in
                unsafe additionalData.withUnsafeBytes { data in
                    unsafe nonce.withUnsafeBytes { nonce in
                        unsafe key.withUnsafeBytes { key in
                            // Ciphertext and tag fit behind `offset`, as checked above.
                            _ = unsafe crypto_aead_xchacha20poly1305_ietf_encrypt(
                                output.address + offset, nil,
                                plaintext.octets, UInt64(plaintext.count),
                                data.octets, UInt64(data.count), nil, nonce.address, key.address)
                        }
                    }
                }
            }
        }
    }

    /// Opens `ciphertext`, tag included, to `output[offset...]`: `ciphertext.byteCount - 16` bytes.
    /// Throws ``CryptographyError/notAuthentic`` if the tag is wrong or missing, and then releases
    /// nothing.
    package static func open(
        _ ciphertext: RawSpan, additionalData: RawSpan, nonce: RawSpan, key: RawSpan,
        into output: inout MutableRawSpan, at offset: Int = 0
    ) throws(CryptographyError) {
        precondition(nonce.byteCount == nonceSize && key.byteCount == Secret32.byteCount)
        guard ciphertext.byteCount >= tagSize else { throw .notAuthentic }
        precondition(
            offset >= 0 && offset <= output.byteCount
                && ciphertext.byteCount - tagSize <= output.byteCount - offset)
        let status = unsafe output.withUnsafeMutableBytes { output in
            unsafe ciphertext.withUnsafeBytes { ciphertext in
                unsafe additionalData.withUnsafeBytes { data in
                    unsafe nonce.withUnsafeBytes { nonce in
                        unsafe key.withUnsafeBytes { key in
                            // As in ChaCha20-Poly1305: fits, tag first, zeroed on failure.
                            unsafe crypto_aead_xchacha20poly1305_ietf_decrypt(
                                output.octets.map { unsafe $0 + offset }, nil, nil,
                                ciphertext.address, UInt64(ciphertext.count),
                                data.octets, UInt64(data.count), nonce.address, key.address)
                        }
                    }
                }
            }
        }
        guard status == 0 else { throw .notAuthentic }
    }
}
