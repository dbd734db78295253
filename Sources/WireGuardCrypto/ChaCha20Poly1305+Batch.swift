import CLanes
import CSodium

/// One packet of a batch: a range of a buffer, and the counter of its nonce.
package struct AEADPacket: BitwiseCopyable, Sendable {
    /// Where the plaintext, or the ciphertext, begins in the buffer.
    package var offset: Int
    /// To seal: the bytes of the plaintext; the tag follows them. To open: the bytes of ciphertext
    /// and tag.
    package var length: Int
    /// The counter.
    package var counter: UInt64
    /// Whether the tag was right; written by `open`, false before.
    package var isAuthentic = false

    /// Makes a packet of a batch.
    @inlinable
    package init(offset: Int, length: Int, counter: UInt64) {
        self.offset = offset
        self.length = length
        self.counter = counter
    }
}

/// Transport data: no additional data, in place, many packets under one key.
///
/// The ranges of a batch lie in the buffer and do not overlap; a range that leaves it is a bug of
/// ours and traps before any byte is touched.
extension ChaCha20Poly1305 {
    /// Seals each packet in place and writes its tag behind it.
    package static func seal(
        _ packets: Span<AEADPacket>, in buffer: inout MutableRawSpan,
        key: borrowing SymmetricKey, using implementation: AEADImplementation
    ) {
        for index in packets.indices {
            check(packets[index], extra: tagSize, in: buffer.byteCount)
        }
        switch implementation {
        case .lanes where packets.count == 1 && canUseIPsecMB,
            .lanesAVX2 where packets.count == 1 && canUseIPsecMB:
            sealWithIPsecMB(packets, in: &buffer, key: key)
        case .lanesAVX2 where packets.count == 1 && packets[0].length < 1024:
            sealWithSodium(packets, in: &buffer, key: key)
        case .lanes: sealWithLanes(packets, in: &buffer, key: key, of: clanes_avx512)
        case .lanesAVX2: sealWithLanes(packets, in: &buffer, key: key, of: clanes_avx2)
        case .ipsecMB: sealWithIPsecMB(packets, in: &buffer, key: key)
        case .sodium: sealWithSodium(packets, in: &buffer, key: key)
        }
    }

    /// Opens each packet in place and notes in it whether it is authentic. The bytes of one that is
    /// not are zero afterwards, but for the tag: no plaintext is released.
    package static func open(
        _ packets: inout MutableSpan<AEADPacket>, in buffer: inout MutableRawSpan,
        key: borrowing SymmetricKey, using implementation: AEADImplementation
    ) {
        for index in packets.indices {
            check(packets[index], extra: 0, in: buffer.byteCount)
        }
        switch implementation {
        case .lanes where packets.count == 1 && canUseIPsecMB,
            .lanesAVX2 where packets.count == 1 && canUseIPsecMB:
            openWithIPsecMB(&packets, in: &buffer, key: key)
        case .lanesAVX2 where packets.count == 1 && packets[0].length < 1024:
            openWithSodium(&packets, in: &buffer, key: key)
        case .lanes: openWithLanes(&packets, in: &buffer, key: key, of: clanes_avx512)
        case .lanesAVX2: openWithLanes(&packets, in: &buffer, key: key, of: clanes_avx2)
        case .ipsecMB: openWithIPsecMB(&packets, in: &buffer, key: key)
        case .sodium: openWithSodium(&packets, in: &buffer, key: key)
        }
    }

    /// One packet alone leaves most lanes empty: ipsec-mb needs 0.4 (64 bytes) to 0.9 (1420 bytes) of the
    /// time then, and more from two packets on. With AVX2 libsodium is faster up to some 1000 bytes, too.
    private static let canUseIPsecMB = AEADImplementation.ipsecMB.obstacle == nil

    @inline(always)
    private static func check(_ packet: AEADPacket, extra: Int, in byteCount: Int) {
        precondition(
            packet.offset >= 0 && packet.offset <= byteCount && packet.length >= 0
                && packet.length <= byteCount - packet.offset - extra)
    }

    static func sealWithSodium(
        _ packets: Span<AEADPacket>, in buffer: inout MutableRawSpan, key: borrowing SymmetricKey
    ) {
        unsafe buffer.withUnsafeMutableBytes { buffer in
            guard let base = unsafe buffer.octets else { return }
            for index in packets.indices {
                let packet = packets[index]
                unsafe Nonce(counter: packet.counter).withUnsafeBytes { nonce in
                    // The range and its tag were checked; ciphertext may equal plaintext.
                    _ = unsafe crypto_aead_chacha20poly1305_ietf_encrypt(
                        base + packet.offset, nil, base + packet.offset, UInt64(packet.length),
                        nil, 0, nil, nonce, key.secret.address)
                }
            }
        }
    }

    /// Without bytes nothing is authentic.
    static func refuseAll(_ packets: inout MutableSpan<AEADPacket>) {
        for index in packets.indices { packets[index].isAuthentic = false }
    }

    static func openWithSodium(
        _ packets: inout MutableSpan<AEADPacket>, in buffer: inout MutableRawSpan,
        key: borrowing SymmetricKey
    ) {
        unsafe buffer.withUnsafeMutableBytes { buffer in
            guard let base = unsafe buffer.octets else { return refuseAll(&packets) }
            for index in packets.indices {
                let packet = packets[index]
                // A length below the tag's comes from the network; libsodium refuses it as well.
                let status = unsafe Nonce(counter: packet.counter).withUnsafeBytes { nonce in
                    // The range was checked. The tag is compared first, and if it is wrong the
                    // output, here the ciphertext itself, is zeroed.
                    unsafe crypto_aead_chacha20poly1305_ietf_decrypt(
                        base + packet.offset, nil, nil, base + packet.offset,
                        UInt64(packet.length), nil, 0, nonce, key.secret.address)
                }
                packets[index].isAuthentic = status == 0
            }
        }
    }
}
