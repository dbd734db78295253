import CSodium

/// XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) with a random 24-byte nonce, for cookie replies.
package enum XChaCha20Poly1305 {
    /// The size of a nonce in bytes.
    package static let nonceSize = 24
    /// The size of the tag in bytes.
    package static let tagSize = 16

    /// Seals `plaintext` and writes ciphertext and tag, `plaintext.byteCount + 16` bytes, to `output` at
    /// `offset`.
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
                            // Ciphertext and tag fit at `offset`, as checked above.
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

    /// Opens `ciphertext`, which includes the tag, and writes `ciphertext.byteCount - 16` bytes to `output`
    /// at `offset`. Throws ``CryptographyError/notAuthentic`` if the tag is wrong or missing, and then
    /// releases no plaintext.
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
                            // The plaintext fits at `offset`, as checked above. libsodium compares
                            // the tag first and zeroes the output if it is wrong.
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
