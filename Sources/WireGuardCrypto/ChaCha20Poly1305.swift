import CSodium

/// ChaCha20-Poly1305 (RFC 8439) with WireGuard's nonce: four zero bytes, then a 64-bit counter,
/// little-endian.
///
/// This file seals and opens single texts with additional data, for handshakes. For batches of transport
/// data see `ChaCha20Poly1305+Batch.swift`.
package enum ChaCha20Poly1305 {
    /// The size of the tag in bytes.
    package static let tagSize = 16

    /// Seals `plaintext` and writes ciphertext and tag, `plaintext.byteCount + 16` bytes, to `output` at
    /// `offset`.
    package static func seal(
        _ plaintext: RawSpan, additionalData: RawSpan, counter: UInt64, key: borrowing Secret32,
        into output: inout MutableRawSpan, at offset: Int = 0
    ) {
        seal(
            plaintext, additionalData: additionalData, nonce: Nonce(counter: counter), key: key,
            into: &output, at: offset)
    }

    /// The same with any nonce of RFC 8439.
    package static func seal(
        _ plaintext: RawSpan, additionalData: RawSpan, nonce: Nonce, key: borrowing Secret32,
        into output: inout MutableRawSpan, at offset: Int = 0
    ) {
        precondition(
            offset >= 0 && offset <= output.byteCount
                && plaintext.byteCount <= output.byteCount - offset - tagSize)
        unsafe output.withUnsafeMutableBytes { output in
            unsafe plaintext.withUnsafeBytes { plaintext in
                unsafe additionalData.withUnsafeBytes { data in
                    unsafe nonce.withUnsafeBytes { nonce in
                        // Ciphertext and tag fit at `offset`, as checked above.
                        _ = unsafe crypto_aead_chacha20poly1305_ietf_encrypt(
                            output.address + offset, nil,
                            plaintext.octets, UInt64(plaintext.count),
                            data.octets, UInt64(data.count), nil, nonce, key.address)
                    }
                }
            }
        }
    }

    /// Opens `ciphertext`, which includes the tag, and writes `ciphertext.byteCount - 16` bytes to `output`
    /// at `offset`. Throws ``CryptographyError/notAuthentic`` if the tag is wrong or missing, and then
    /// releases no plaintext.
    package static func open(
        _ ciphertext: RawSpan, additionalData: RawSpan, counter: UInt64, key: borrowing Secret32,
        into output: inout MutableRawSpan, at offset: Int = 0
    ) throws(CryptographyError) {
        try open(
            ciphertext, additionalData: additionalData, nonce: Nonce(counter: counter), key: key,
            into: &output, at: offset)
    }

    /// The same with any nonce of RFC 8439.
    package static func open(
        _ ciphertext: RawSpan, additionalData: RawSpan, nonce: Nonce, key: borrowing Secret32,
        into output: inout MutableRawSpan, at offset: Int = 0
    ) throws(CryptographyError) {
        guard ciphertext.byteCount >= tagSize else { throw .notAuthentic }
        precondition(
            offset >= 0 && offset <= output.byteCount
                && ciphertext.byteCount - tagSize <= output.byteCount - offset)
        let status = unsafe output.withUnsafeMutableBytes { output in
            unsafe ciphertext.withUnsafeBytes { ciphertext in
                unsafe additionalData.withUnsafeBytes { data in
                    unsafe nonce.withUnsafeBytes { nonce in
                        // The plaintext fits at `offset`, as checked above. libsodium compares the
                        // tag first and zeroes the output if it is wrong.
                        unsafe crypto_aead_chacha20poly1305_ietf_decrypt(
                            output.octets.map { unsafe $0 + offset }, nil, nil,
                            ciphertext.address, UInt64(ciphertext.count),
                            data.octets, UInt64(data.count), nonce, key.address)
                    }
                }
            }
        }
        guard status == 0 else { throw .notAuthentic }
    }

    /// The 12 bytes of a nonce.
    package struct Nonce: BitwiseCopyable, Sendable {
        private let words: InlineArray<3, UInt32>

        /// A nonce of a 32-bit word, which is zero in WireGuard, and a counter.
        package init(common: UInt32 = 0, counter: UInt64) {
            words = [
                common.littleEndian, UInt32(truncatingIfNeeded: counter).littleEndian,
                UInt32(truncatingIfNeeded: counter >> 32).littleEndian,
            ]
        }

        @inline(always)
        func withUnsafeBytes<R>(_ body: (UnsafePointer<UInt8>) -> R) -> R {
            unsafe words.span.withUnsafeBytes { unsafe body($0.address) }
        }
    }
}
