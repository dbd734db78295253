/// Compares an implementation with libsodium. Seals and opens packets of all lengths around which
/// implementations switch to other code, and opens them with forged tags.
package struct AEADSelfTest: ~Copyable {
    /// Seals a batch.
    package typealias Seal = (
        Span<AEADPacket>, inout MutableRawSpan, borrowing SymmetricKey
    ) -> Void
    /// Opens a batch.
    package typealias Open = (
        inout MutableSpan<AEADPacket>, inout MutableRawSpan, borrowing SymmetricKey
    ) -> Void

    private let seal: Seal
    private let open: Open
    private let key: SymmetricKey

    /// Lengths around the block size of Poly1305, around one and several blocks of ChaCha20 and vectors of
    /// them, the MTU, and about the largest datagram.
    private static let lengths = [
        0, 1, 15, 16, 17, 63, 64, 65, 127, 128, 129, 255, 256, 257, 511, 512, 513, 1023, 1024, 1025,
        1420, 1424, 4097, 65_000,
    ]
    private static let tagSize = ChaCha20Poly1305.tagSize

    /// Counters, and texts in hexadecimal, for which the sum of Poly1305 is p, p + 1, … p + 4 under the
    /// key of this test. A random text reaches the final subtraction of p with probability 2^-128. For the
    /// last four, the limbs of ``AEADImplementation/lanes`` add up to more than 2^130, and the carry into
    /// the lowest limb propagates to the others, which happens with probability 2^-41 at random.
    private static let sumsAbovePrime: [(counter: UInt64, text: String)] = [
        (2, "a9a3fe55e7eaac6ecb4f3f70ccce61b5cce243db0ad097a50da2335ddce26737"),
        (1, "2354f35fb52aaf1829b6ae5c52959987c3ac78af6c28aa2836dfa1d8ed9a685b"),
        (2, "a0a3fe55e7eaac6ecb4f3f70ccce61b5c575f3a326a5bf0ae49a055996fb6b0a"),
        (1, "fa54f35fb52aaf1829b6ae5c52959987d50ec45db96efc9c6176051bc51e2c5b"),
        (2, "b5a3fe55e7eaac6ecb4f3f70ccce61b576f09b3a3a67dca58e73e7f260a0350e"),
        (1, "9054f35fb52aaf1829b6ae5c529599872e0d320fc623bf7e6d72afa2ae73625b"),
        (2, "87a3fe55e7eaac6ecb4f3f70ccce61b5731e28b0a14b4044e9892f18074c4208"),
        (1, "2755f35fb52aaf1829b6ae5c52959987306f9ebd1460d1d2980900ed86f7215b"),
        (2, "e9a3fe55e7eaac6ecb4f3f70ccce61b5782c7d0e09a8c3e4cb2f74bf2568e80a"),
        (1, "297c3fb8bce323e50875f195c200602d2ed8b3ef5ecd5eab899c453d70ba7fc3"),
        (2, "f11da5f802e10f68973d7420cecb4a03bb7bef39fd227009cd9ab671dbaebb5f"),
        (1, "e2fc7c172bfef69c64ef0ea561e3a6a5728bd1d82558d315c99d93caf5eaafd5"),
        (1, "29a6d0075e7e02f456432c9c0225edd9e436533d1ba3cd455ccb6f7b8b4fb577"),
    ]

    /// Tests one of the implementations.
    package init(_ implementation: AEADImplementation) {
        self.init(
            seal: { ChaCha20Poly1305.seal($0, in: &$1, key: $2, using: implementation) },
            open: { ChaCha20Poly1305.open(&$0, in: &$1, key: $2, using: implementation) })
    }

    /// Tests any code.
    package init(seal: @escaping Seal, open: @escaping Open) {
        self.seal = seal
        self.open = open
        // Not a secret.
        let bytes = [UInt8](0..<32)
        // Bytes have no padding.
        key = SymmetricKey(Secret32(copying: unsafe bytes.span.bytes))
    }

    /// Whether all results equal those of libsodium. Tests a batch whose counters differ in both words, and
    /// a batch with consecutive counters that crosses from one upper word to the next.
    package var passes: Bool {
        passes { UInt64($0 + 1) &* 0x0101_0101_0203_0405 }
            && passes { 0x1_FFFF_FFF0 &+ UInt64($0) }
            && passesAbovePrime
    }

    private var passesAbovePrime: Bool {
        var plaintext: [UInt8] = []
        var packets: [AEADPacket] = []
        for (counter, text) in Self.sumsAbovePrime {
            let digits = text.compactMap(\.hexDigitValue)
            packets.append(
                AEADPacket(
                    offset: plaintext.count, length: digits.count / 2, counter: counter))
            plaintext += stride(from: 0, to: digits.count, by: 2).map {
                UInt8(digits[$0] << 4 | digits[$0 + 1])
            }
            plaintext += [UInt8](repeating: 0, count: Self.tagSize)
        }
        return sealsAndOpens(packets, plaintext)
    }

    private func passes(counter: (Int) -> UInt64) -> Bool {
        let room = Self.lengths.reduce(0) { $0 + $1 + Self.tagSize }
        var plaintext = [UInt8](repeating: 0, count: room)
        var packets: [AEADPacket] = []
        var offset = 0
        for (index, length) in Self.lengths.enumerated() {
            packets.append(AEADPacket(offset: offset, length: length, counter: counter(index)))
            for byte in 0..<length {
                plaintext[offset + byte] = UInt8(truncatingIfNeeded: byte &* 7 &+ index)
            }
            offset += length + Self.tagSize
        }
        return sealsAndOpens(packets, plaintext)
    }

    private func sealsAndOpens(_ packets: [AEADPacket], _ plaintext: [UInt8]) -> Bool {
        var expected = plaintext
        Self.edit(&expected) {
            ChaCha20Poly1305.seal(packets.span, in: &$0, key: key, using: .sodium)
        }
        var sealed = plaintext
        Self.edit(&sealed) { seal(packets.span, &$0, key) }
        guard Self.equal(sealed, expected, in: 0..<expected.count) else { return false }

        var received = packets
        for index in received.indices { received[index].length += Self.tagSize }
        return opens(received, sealed, plaintext) && refuses(received, sealed)
    }

    /// Whether all authentic packets are opened. Does not look at the tags.
    private func opens(
        _ packets: [AEADPacket], _ sealed: [UInt8], _ plaintext: [UInt8]
    ) -> Bool {
        let (packets, opened) = opening(packets, sealed)
        return packets.allSatisfy { packet in
            let text = packet.offset..<packet.offset + packet.length - Self.tagSize
            return packet.isAuthentic && Self.equal(opened, plaintext, in: text)
        }
    }

    /// Whether packets with one wrong bit in the tag are refused and their text is zeroed. Flips another
    /// bit in each packet.
    private func refuses(_ packets: [AEADPacket], _ sealed: [UInt8]) -> Bool {
        var forged = sealed
        for (index, packet) in packets.enumerated() {
            let tag = packet.offset + packet.length - Self.tagSize
            forged[tag + index * 5 % Self.tagSize] ^= 1 << UInt8(index % 8)
        }
        let (packets, opened) = opening(packets, forged)
        let zeros = [UInt8](repeating: 0, count: opened.count)
        return packets.allSatisfy { packet in
            let text = packet.offset..<packet.offset + packet.length - Self.tagSize
            return !packet.isAuthentic && Self.equal(opened, zeros, in: text)
        }
    }

    private func opening(
        _ packets: [AEADPacket], _ bytes: [UInt8]
    ) -> ([AEADPacket], [UInt8]) {
        var packets = packets
        var bytes = bytes
        Self.edit(&bytes) { buffer in
            var span = packets.mutableSpan
            open(&span, &buffer, key)
        }
        return (packets, bytes)
    }

    /// Compares words: this runs at each start, and comparing bytes took longer than the rest of the test.
    private static func equal(_ left: [UInt8], _ right: [UInt8], in range: Range<Int>) -> Bool {
        guard left.count == right.count else { return false }
        // Bytes have no padding.
        let left = unsafe left.span.bytes.extracting(range)
        let right = unsafe right.span.bytes.extracting(range)
        var difference: UInt64 = 0
        var offset = 0
        while offset <= range.count - 8 {
            // The offset is in bounds, and any eight bytes are a valid integer.
            let (a, b) = unsafe (
                left.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self),
                right.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self)
            )
            difference |= a ^ b
            offset += 8
        }
        while offset < range.count {
            let (a, b) = unsafe (
                left.unsafeLoad(fromByteOffset: offset, as: UInt8.self),
                right.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
            )
            difference |= UInt64(a ^ b)
            offset += 1
        }
        return difference == 0
    }

    private static func edit(_ bytes: inout [UInt8], _ body: (inout MutableRawSpan) -> Void) {
        var span = bytes.mutableSpan
        // Bytes have no padding.
        var raw = unsafe span.mutableBytes
        body(&raw)
    }
}
