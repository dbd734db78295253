import Testing
import WireGuardCrypto

@Suite struct ChaCha20Poly1305Tests {
    @Test("vectors of RFC 8439, §2.8.2 and appendix A.5", arguments: vectors)
    fileprivate func vector(vector: Vector) throws {
        let key = Secret32(copying: hex(vector.key).raw)
        let data = hex(vector.additionalData)
        let plaintext = hex(vector.plaintext)
        let ciphertext = hex(vector.ciphertext)
        let nonce = ChaCha20Poly1305.Nonce(common: vector.common, counter: vector.counter)
        let sealed = filled(ciphertext.count) {
            ChaCha20Poly1305.seal(
                plaintext.raw, additionalData: data.raw, nonce: nonce, key: key, into: &$0)
        }
        #expect(sealed == ciphertext)
        let opened = try filled(plaintext.count) { output throws(CryptographyError) in
            try ChaCha20Poly1305.open(
                ciphertext.raw, additionalData: data.raw, nonce: nonce, key: key, into: &output)
        }
        #expect(opened == plaintext)
    }

    @Test("WireGuard's nonce is a zero word followed by the counter")
    func counter() {
        let key = Secret32(copying: hex(vectors[1].key).raw)
        let data = hex(vectors[1].additionalData)
        let plaintext = hex(vectors[1].plaintext)
        let sealed = filled(plaintext.count + 16) {
            ChaCha20Poly1305.seal(
                plaintext.raw, additionalData: data.raw, counter: 0x0807_0605_0403_0201, key: key,
                into: &$0)
        }
        #expect(sealed == hex(vectors[1].ciphertext))
    }

    @Test(
        "each position in a batch gives the ciphertext of RFC 8439, appendix A.5",
        arguments: AEADImplementation.available, 0..<6)
    func batch(implementation: AEADImplementation, position: Int) {
        // The vector's nonce is valid in WireGuard. Its tag covers additional data, which a batch does not
        // have, so the expected tag is that of a single call.
        let vector = vectors[1]
        let plaintext = hex(vector.plaintext)
        let key = SymmetricKey(Secret32(copying: hex(vector.key).raw))
        var lengths = [1500, 0, 3, 700, 16, 64]
        lengths[position] = plaintext.count
        var buffer: [UInt8] = []
        var packets: [AEADPacket] = []
        for (index, length) in lengths.enumerated() {
            packets.append(
                AEADPacket(
                    offset: buffer.count, length: length,
                    counter: vector.counter &+ UInt64(index) &- UInt64(position)))
            buffer += index == position ? plaintext : [UInt8](repeating: 5, count: length)
            buffer += [UInt8](repeating: 0, count: 16)
        }
        let start = packets[position].offset
        buffer.withRaw {
            ChaCha20Poly1305.seal(packets.span, in: &$0, key: key, using: implementation)
        }
        let expected = filled(plaintext.count + 16) {
            ChaCha20Poly1305.seal(
                plaintext.raw, additionalData: RawSpan(), counter: vector.counter,
                key: Secret32(copying: hex(vector.key).raw), into: &$0)
        }
        let text = hex(vector.ciphertext).dropLast(16)
        #expect(buffer[start...].prefix(text.count).elementsEqual(text))
        #expect(buffer[start...].prefix(expected.count).elementsEqual(expected))
    }

    @Test("an empty plaintext is sealed to a tag and opened to no bytes")
    func empty() throws {
        let key = Secret32(copying: hex(vectors[0].key).raw)
        let data = Array("transcript".utf8)
        let sealed = filled(16) {
            ChaCha20Poly1305.seal(
                RawSpan(), additionalData: data.raw, counter: 0, key: key, into: &$0)
        }
        let opened = try filled(0) { output throws(CryptographyError) in
            try ChaCha20Poly1305.open(
                sealed.raw, additionalData: data.raw, counter: 0, key: key, into: &output)
        }
        #expect(opened.isEmpty)
        #expect(throws: CryptographyError.notAuthentic) {
            _ = try filled(0) { output throws(CryptographyError) in
                try ChaCha20Poly1305.open(
                    sealed.raw, additionalData: RawSpan(), counter: 0, key: key, into: &output)
            }
        }
    }

    @Test("the output starts at the offset, and no other bytes are written")
    func offset() throws {
        let key = Secret32(copying: hex(vectors[0].key).raw)
        let plaintext = Array("static key".utf8)
        let sealed = filled(40) {
            ChaCha20Poly1305.seal(
                plaintext.raw, additionalData: RawSpan(), counter: 1, key: key, into: &$0, at: 7)
        }
        #expect(sealed[..<7].allSatisfy { $0 == 0 } && sealed[33...].allSatisfy { $0 == 0 })
        let message = Array(sealed[7..<33])
        let opened = try filled(20) { output throws(CryptographyError) in
            try ChaCha20Poly1305.open(
                message.raw, additionalData: RawSpan(), counter: 1, key: key, into: &output, at: 5)
        }
        #expect(Array(opened[5..<15]) == plaintext)
        #expect(opened[..<5].allSatisfy { $0 == 0 } && opened[15...].allSatisfy { $0 == 0 })
    }

    @Test("any flipped bit in ciphertext, additional data, counter or key is detected")
    func forged() {
        let key = Secret32(copying: hex(vectors[0].key).raw)
        let data = Array("data".utf8)
        let plaintext = Array("timestamp 12".utf8)
        let sealed = filled(plaintext.count + 16) {
            ChaCha20Poly1305.seal(
                plaintext.raw, additionalData: data.raw, counter: 5, key: key, into: &$0)
        }
        for bit in 0..<sealed.count * 8 {
            expectRefused(flipping(sealed, bit), data, 5, key)
        }
        for bit in 0..<data.count * 8 { expectRefused(sealed, flipping(data, bit), 5, key) }
        for bit in 0..<64 { expectRefused(sealed, data, 5 ^ 1 << UInt64(bit), key) }
        for bit in 0..<256 {
            let other = Secret32(copying: flipping(hex(vectors[0].key), bit).raw)
            expectRefused(sealed, data, 5, other)
        }
        for count in 0..<sealed.count { expectRefused(Array(sealed[..<count]), data, 5, key) }
    }

    /// Expects that opening fails and overwrites the output with zeros.
    private func expectRefused(
        _ ciphertext: [UInt8], _ data: [UInt8], _ counter: UInt64, _ key: borrowing Secret32
    ) {
        var error: CryptographyError?
        let output = filled(12) { output in
            output.copy([UInt8](repeating: 0xEE, count: 12).raw)
            do throws(CryptographyError) {
                try ChaCha20Poly1305.open(
                    ciphertext.raw, additionalData: data.raw, counter: counter, key: key,
                    into: &output)
            } catch let thrown {
                error = thrown
            }
        }
        #expect(error == .notAuthentic)
        // Bytes after the end of a shorter message do not belong to the output.
        let released = max(0, min(12, ciphertext.count - 16))
        #expect(output[..<released].allSatisfy { $0 == 0 })
        #expect(output[released...].allSatisfy { $0 == 0xEE })
    }
}

/// A copy of `bytes` with one bit flipped.
func flipping(_ bytes: [UInt8], _ bit: Int) -> [UInt8] {
    var bytes = bytes
    bytes[bit / 8] ^= 1 << UInt8(bit % 8)
    return bytes
}

private struct Vector: Sendable, CustomTestStringConvertible {
    let name: String
    let key: String
    let common: UInt32
    let counter: UInt64
    let additionalData: String
    let plaintext: String
    let ciphertext: String
    var testDescription: String { name }
}

private let vectors = [
    Vector(
        name: "§2.8.2", key: "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
        common: 7, counter: 0x4746_4544_4342_4140, additionalData: "50515253c0c1c2c3c4c5c6c7",
        plaintext: """
            4c616469657320616e642047656e746c656d656e206f662074686520636c6173\
            73206f66202739393a204966204920636f756c64206f6666657220796f75206f\
            6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73\
            637265656e20776f756c642062652069742e
            """,
        ciphertext: """
            d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6\
            3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36\
            92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc\
            3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd060\
            0691
            """),
    Vector(
        name: "A.5", key: "1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0",
        common: 0, counter: 0x0807_0605_0403_0201, additionalData: "f33388860000000000004e91",
        plaintext: """
            496e7465726e65742d4472616674732061726520647261667420646f63756d65\
            6e74732076616c696420666f722061206d6178696d756d206f6620736978206d\
            6f6e74687320616e64206d617920626520757064617465642c207265706c6163\
            65642c206f72206f62736f6c65746564206279206f7468657220646f63756d65\
            6e747320617420616e792074696d652e20497420697320696e617070726f7072\
            6961746520746f2075736520496e7465726e65742d4472616674732061732072\
            65666572656e6365206d6174657269616c206f7220746f206369746520746865\
            6d206f74686572207468616e206173202fe2809c776f726b20696e2070726f67\
            726573732e2fe2809d
            """,
        ciphertext: """
            64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb2\
            4c6cfc18755d43eea09ee94e382d26b0bdb7b73c321b0100d4f03b7f355894cf\
            332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c855\
            9797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4\
            b9166c767b804d46a59b5216cde7a4e99040c5a40433225ee282a1b0a06c523e\
            af4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273f548271a\
            0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a10\
            49e617d91d361094fa68f0ff77987130305beaba2eda04df997b714d6c6f2c29\
            a6ad5cb4022b02709beead9d67890cbb22392336fea1851f38
            """),
]
