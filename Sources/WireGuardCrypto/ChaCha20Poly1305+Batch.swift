import CLanes
import CSodium

/// One packet of a batch: a range of a buffer and the counter of its nonce.
package struct AEADPacket: BitwiseCopyable, Sendable {
    /// The offset of the plaintext or ciphertext in the buffer.
    package var offset: Int
    /// To seal: the size of the plaintext in bytes, without the tag that is written after it. To open: the
    /// size of ciphertext and tag.
    package var length: Int
    /// The counter of the nonce.
    package var counter: UInt64
    /// Whether the tag was right. `open` sets it.
    package var isAuthentic = false

    /// Makes a packet of a batch.
    @inlinable
    package init(offset: Int, length: Int, counter: UInt64) {
        self.offset = offset
        self.length = length
        self.counter = counter
    }
}

/// Transport data: many packets under one key, in place, without additional data.
///
/// The ranges of a batch must not overlap. A range outside the buffer is a programming error and traps
/// before any byte is accessed.
extension ChaCha20Poly1305 {
    /// Seals each packet in place and writes its tag after it.
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

    /// Opens each packet in place and sets ``AEADPacket/isAuthentic``. Zeroes the text of a packet that is
    /// not authentic, so that no plaintext is released. The tags stay.
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

    /// A single packet leaves most lanes empty. ipsec-mb takes 0.4 (64 bytes) to 0.9 (1420 bytes) of the
    /// time of the lanes for one packet, and more time for two or more. libsodium is faster than the AVX2
    /// lanes for one packet of up to about 1000 bytes.
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
                    // The range including the tag was checked. libsodium can encrypt in place.
                    _ = unsafe crypto_aead_chacha20poly1305_ietf_encrypt(
                        base + packet.offset, nil, base + packet.offset, UInt64(packet.length),
                        nil, 0, nil, nonce, key.secret.address)
                }
            }
        }
    }

    /// For an empty buffer: no packet is authentic.
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
                // A length below the tag size can come from the network. libsodium refuses it.
                let status = unsafe Nonce(counter: packet.counter).withUnsafeBytes { nonce in
                    // The range was checked. libsodium compares the tag first and zeroes the output,
                    // here the ciphertext itself, if it is wrong.
                    unsafe crypto_aead_chacha20poly1305_ietf_decrypt(
                        base + packet.offset, nil, nil, base + packet.offset,
                        UInt64(packet.length), nil, 0, nonce, key.secret.address)
                }
                packets[index].isAuthentic = status == 0
            }
        }
    }
}
