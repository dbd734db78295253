import Testing
import WireGuardCrypto

@Suite("Hashes and key derivations match the vectors")
struct KDFVectorTests {
    /// HMAC hashes keys longer than a block first; WireGuard uses none.
    static let cases = VectorFile("kdf.json").cases.filter { $0.bytes("key").count <= 64 }

    @Test("each function", arguments: cases)
    func derive(_ vector: VectorFile.Case) {
        let key = vector.bytes("key")
        let input = vector.bytes("input")
        // Bytes have no padding.
        let keyBytes = unsafe key.span.bytes
        let inputBytes = unsafe input.span.bytes
        var first = Secret32()
        var second = Secret32()
        var third = Secret32()
        var outputs: [[UInt8]] = []
        switch vector["function"] {
        case "kdf1":
            KDF.kdf1(key: keyBytes, input: inputBytes, into: &first)
            outputs = [array(first.bytes)]
        case "kdf2":
            KDF.kdf2(key: keyBytes, input: inputBytes, into: &first, &second)
            outputs = [array(first.bytes), array(second.bytes)]
        case "kdf3":
            KDF.kdf3(key: keyBytes, input: inputBytes, into: &first, &second, &third)
            outputs = [array(first.bytes), array(second.bytes), array(third.bytes)]
        case "hmac":
            outputs = [written(32) { BLAKE2s.hmac(key: keyBytes, inputBytes, into: &$0) }]
        case "mac":
            outputs = [array(BLAKE2s.mac(key: keyBytes, inputBytes).bytes)]
        case "hash":
            outputs = [array(BLAKE2s.hash(inputBytes).bytes)]
        default:
            Issue.record("an unknown function")
        }
        outputs += repeatElement([], count: 3 - outputs.count)
        let expected = (1...3).map { vector.bytes("output\($0)") }
        #expect(outputs == expected)
    }
}
