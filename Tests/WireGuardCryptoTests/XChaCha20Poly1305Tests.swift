import Testing
import WireGuardCrypto

@Suite struct XChaCha20Poly1305Tests {
    private let key = (0x80..<0xA0).map { UInt8($0) }
    private let nonce = (0x40..<0x58).map { UInt8($0) }
    private let data = hex("50515253c0c1c2c3c4c5c6c7")
    private let plaintext = hex(
        """
        4c616469657320616e642047656e746c656d656e206f662074686520636c6173\
        73206f66202739393a204966204920636f756c64206f6666657220796f75206f\
        6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73\
        637265656e20776f756c642062652069742e
        """)
    private let ciphertext = hex(
        """
        bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb\
        731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452\
        2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9\
        21f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780a\
        cf49
        """)

    @Test("vector of draft-irtf-cfrg-xchacha-03, appendix A.3.1")
    func vector() throws {
        let sealed = filled(ciphertext.count) {
            XChaCha20Poly1305.seal(
                plaintext.raw, additionalData: data.raw, nonce: nonce.raw, key: key.raw, into: &$0)
        }
        #expect(sealed == ciphertext)
        #expect(try open(ciphertext, data: data, nonce: nonce) == plaintext)
    }

    @Test("any flipped bit in ciphertext, additional data or nonce is detected")
    func forged() {
        for bit in 0..<ciphertext.count * 8 {
            #expect(throws: CryptographyError.notAuthentic) {
                try open(flipping(ciphertext, bit), data: data, nonce: nonce)
            }
        }
        for bit in 0..<data.count * 8 {
            #expect(throws: CryptographyError.notAuthentic) {
                try open(ciphertext, data: flipping(data, bit), nonce: nonce)
            }
        }
        for bit in 0..<nonce.count * 8 {
            #expect(throws: CryptographyError.notAuthentic) {
                try open(ciphertext, data: data, nonce: flipping(nonce, bit))
            }
        }
    }

    @Test("a ciphertext shorter than a tag is refused", arguments: 0..<16)
    func short(count: Int) {
        #expect(throws: CryptographyError.notAuthentic) {
            try open(Array(ciphertext[..<count]), data: data, nonce: nonce)
        }
    }

    private func open(
        _ ciphertext: [UInt8], data: [UInt8], nonce: [UInt8]
    ) throws(CryptographyError) -> [UInt8] {
        try filled(max(0, ciphertext.count - 16)) { output throws(CryptographyError) in
            try XChaCha20Poly1305.open(
                ciphertext.raw, additionalData: data.raw, nonce: nonce.raw, key: key.raw,
                into: &output)
        }
    }
}
