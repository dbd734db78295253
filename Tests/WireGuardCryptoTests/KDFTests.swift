import Testing
import WireGuardCrypto

/// The vectors of wireguard-go's self-test. Python's hmac and hashlib give the same results.
private let vectors = [
    Vector(
        key: "746573742d6b6579", input: "746573742d696e707574",
        outputs: [
            "6f0e5ad38daba1bea8a0d213688736f19763239305e0f58aba697f9ffc41c633",
            "df1194df20802a4fe594cde27e92991c8cae66c366e8106aaa937a55fa371e8a",
            "fac6e2745a325f5dc5d11a5b165aad08b0ada28e7b4e666b7c077934a4d76c24",
        ]),
    Vector(
        key: "776972656775617264", input: "776972656775617264",
        outputs: [
            "491d43bbfdaa8750aaf535e334ecbfe5129967cd64635101c566d4caefda96e8",
            "1e71a379baefd8a79aa4662212fcafe19a23e2b609a3db7d6bcba8f560e3d25f",
            "31e1ae48bddfbe5de38f295e5452b1909a1b4e38e183926af3780b0c1e1f0160",
        ]),
    Vector(
        key: "", input: "",
        outputs: [
            "8387b46bf43eccfcf349552a095d8315c4055beb90208fb1be23b894bc2ed5d0",
            "58a0e5f6faefccf4807bff1f05fa8a9217945762040bcec2f4b4a62bdfe0e86e",
            "0ce6ea98ec548f8e281e93e32db65621c45eb18dc6f0a7ad94178610a2f7338e",
        ]),
]

@Suite struct KDFTests {
    @Test("Kdf1, Kdf2 and Kdf3 give the outputs of the vectors", arguments: vectors)
    fileprivate func kdf(vector: Vector) {
        let key = hex(vector.key)
        let input = hex(vector.input)
        var first = Secret32()
        var second = Secret32()
        var third = Secret32()
        KDF.kdf1(key: key.raw, input: input.raw, into: &first)
        #expect([first.bytes.hex] == vector.outputs[..<1])

        first.wipe()
        KDF.kdf2(key: key.raw, input: input.raw, into: &first, &second)
        #expect([first.bytes.hex, second.bytes.hex] == vector.outputs[..<2])

        first.wipe()
        second.wipe()
        KDF.kdf3(key: key.raw, input: input.raw, into: &first, &second, &third)
        #expect([first.bytes.hex, second.bytes.hex, third.bytes.hex] == vector.outputs[...])
    }

    @Test("the first output replaces the chaining key")
    func chaining() {
        let start = (0..<32).map { UInt8($0) }
        let input = Array("input".utf8)
        var first = Secret32()
        var second = Secret32()
        var third = Secret32()
        KDF.kdf3(key: start.raw, input: input.raw, into: &first, &second, &third)
        let expected = [first.bytes.hex, second.bytes.hex, third.bytes.hex]

        var chainingKey = Secret32(copying: start.raw)
        KDF.kdf1(chainingKey: &chainingKey, input: input.raw)
        #expect(chainingKey.bytes.hex == expected[0])

        chainingKey = Secret32(copying: start.raw)
        var key = Secret32()
        KDF.kdf2(chainingKey: &chainingKey, input: input.raw, key: &key)
        #expect([chainingKey.bytes.hex, key.bytes.hex] == expected[..<2])

        chainingKey = Secret32(copying: start.raw)
        var hash = Secret32()
        KDF.kdf3(chainingKey: &chainingKey, input: input.raw, hash: &hash, key: &key)
        #expect([chainingKey.bytes.hex, hash.bytes.hex, key.bytes.hex] == expected)
    }
}

private struct Vector: Sendable, CustomTestStringConvertible {
    let key: String
    let input: String
    let outputs: [String]
    var testDescription: String { "key \(key), input \(input)" }
}
