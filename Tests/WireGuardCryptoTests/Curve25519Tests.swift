import Testing
import WireGuardCrypto

@Suite struct Curve25519Tests {
    @Test(
        "vectors of RFC 7748, §5.2",
        arguments: [
            (
                "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
                "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
                "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"
            ),
            (
                "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
                "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
                "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"
            ),
        ])
    func vectors(scalar: String, point: String, product: String) throws {
        #expect(try multiply(hex(scalar), hex(point)) == hex(product))
    }

    @Test(
        "iterated vectors of RFC 7748, §5.2",
        arguments: [
            (1, "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"),
            (1000, "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"),
        ])
    func iterated(count: Int, result: String) throws {
        var scalar = [9] + [UInt8](repeating: 0, count: 31)
        var point = scalar
        for _ in 0..<count {
            let product = try multiply(scalar, point)
            point = scalar
            scalar = product
        }
        #expect(scalar == hex(result))
    }

    @Test("Alice and Bob agree on a secret (RFC 7748, §6.1)")
    func agreement() throws {
        let alice = try key("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
        let bob = try key("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
        #expect(
            alice.publicKey.bytes.hex
                == "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
        #expect(
            bob.publicKey.bytes.hex
                == "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
        let atAlice = try Curve25519.sharedSecret(alice, bob.publicKey)
        let atBob = try Curve25519.sharedSecret(bob, alice.publicKey)
        let agree = atAlice == atBob
        #expect(agree)
        #expect(
            atAlice.bytes.hex == "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")
    }

    @Test("both sides agree for random keys")
    func symmetry() throws {
        var random = SeededRandom(seed: 7)
        for _ in 0..<50 {
            let alice = PrivateKey(random: &random)
            let bob = PrivateKey(random: &random)
            let atAlice = try Curve25519.sharedSecret(alice, bob.publicKey)
            let atBob = try Curve25519.sharedSecret(bob, alice.publicKey)
            let agree = atAlice == atBob
            #expect(agree)
        }
    }

    @Test(
        "a point of low order is accepted as a public key but gives no shared secret",
        arguments: [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ], [UInt8(0), 0x80])
    func lowOrder(point: String, highBit: UInt8) throws {
        var bytes = hex(point)
        // X25519 ignores the highest bit.
        bytes[31] |= highBit
        let publicKey = try publicKey(bytes)
        var random = SeededRandom(seed: 8)
        let privateKey = PrivateKey(random: &random)
        #expect(throws: CryptographyError.zeroSharedSecret) {
            _ = try Curve25519.sharedSecret(privateKey, publicKey)
        }
    }

    private func multiply(_ scalar: [UInt8], _ point: [UInt8]) throws -> [UInt8] {
        guard let privateKey = PrivateKey(bytes: scalar.raw) else { throw WrongLength() }
        let publicKey = try publicKey(point)
        let product = try Curve25519.sharedSecret(privateKey, publicKey)
        return product.bytes.array
    }

    private func key(_ digits: String) throws -> PrivateKey {
        let bytes = hex(digits)
        guard let key = PrivateKey(bytes: bytes.raw) else { throw WrongLength() }
        return key
    }
}
