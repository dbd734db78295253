import Testing
import WireGuardCrypto

@Suite struct BLAKE2sTests {
    @Test("hash of abc (RFC 7693, appendix B)")
    func abc() {
        let text = Array("abc".utf8)
        let hash = BLAKE2s.hash(text.raw)
        #expect(
            hash.bytes.hex == "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982")
    }

    @Test(
        "keyed vectors of the reference implementation: key 00 01 … 1f, input 00 01 …",
        arguments: [
            (0, "48a8997da407876b3d79c0d92325ad3b89cbb754d86ab71aee047ad345fd2c49"),
            (1, "40d15fee7c328830166ac3f918650f807e7e01e177258cdc0a39b11f598066f1"),
            (2, "6bb71300644cd3991b26ccd4d274acd1adeab8b1d7914546c1198bbe9fc9d803"),
            (63, "c65382513f07460da39833cb666c5ed82e61b9e998f4b0c4287cee56c3cc9bcd"),
            (64, "8975b0577fd35566d750b362b0897a26c399136df07bababbde6203ff2954ed4"),
            (65, "21fe0ceb0052be7fb0f004187cacd7de67fa6eb0938d927677f2398c132317a8"),
            (128, "0c311f38c35a4fb90d651c289d486856cd1413df9b0677f53ece2cd9e477c60a"),
            (255, "3fb735061abc519dfe979e54c1ee5bfad0a9d858b3315bad34bde999efd724dd"),
        ])
    func keyed(count: Int, digest: String) {
        let result = filled(32) {
            BLAKE2s.digest(
                key: bytes(32).raw, bytes(count).raw, RawSpan(), RawSpan(), into: &$0)
        }
        #expect(result == hex(digest))
    }

    @Test(
        "a MAC is keyed BLAKE2s with 16 bytes of output, for keys of 32 and 16 bytes",
        arguments: [
            (32, 0, "9536f9b267655743dee97b8a670f9f53"),
            (32, 1, "13bacfb85b48a1223c595f8c1e7e82cb"),
            (32, 64, "f1efa90d2547036841ecd3627fafbc36"),
            (32, 255, "cd075928ab7e6883e697fe7fd3ac43ee"),
            (16, 64, "dd55c51c98f8ab96ed272882941f0b6a"),
        ])
    func mac(keyCount: Int, count: Int, digest: String) {
        let key = bytes(keyCount)
        let input = bytes(count)
        let mac = BLAKE2s.mac(key: key.raw, input.raw)
        #expect(mac.bytes.hex == digest)
    }

    @Test(
        "HMAC-BLAKE2s, with vectors of Python's hmac and hashlib",
        arguments: [
            (
                [UInt8](repeating: 0x0B, count: 20), Array("Hi There".utf8),
                "65a8b7c5cc9136d424e82c37e2707e74e913c0655b99c75f40edf387453a3260"
            ),
            ([], [], "eaf4bb25938f4d20e72656bbbc7a9bf63c0c18537333c35bdb67db1402661acd"),
            (
                (0..<64).map(UInt8.init), (0..<100).map(UInt8.init),
                "647576eb06d7546ce6db9b3c0c1509a64cc7fae9cb732ee3845e7b486ad26edc"
            ),
        ])
    func hmac(key: [UInt8], input: [UInt8], digest: String) {
        let result = filled(32) { BLAKE2s.hmac(key: key.raw, input.raw, into: &$0) }
        #expect(result == hex(digest))
        for cut in 0...input.count {
            let head = Array(input[..<cut])
            let tail = Array(input[cut...])
            let inTwo = filled(32) { BLAKE2s.hmac(key: key.raw, head.raw, tail.raw, into: &$0) }
            #expect(inTwo == result)
        }
    }

    @Test("self-test of RFC 7693, appendix E: all lengths, keys and inputs")
    func selfTest() {
        var digests: [UInt8] = []
        for size in [16, 20, 28, 32] {
            for count in [0, 3, 64, 65, 255, 1024] {
                let input = sequence(count)
                let key = sequence(size)
                digests += filled(size) {
                    BLAKE2s.digest(key: RawSpan(), input.raw, RawSpan(), RawSpan(), into: &$0)
                }
                digests += filled(size) {
                    BLAKE2s.digest(key: key.raw, input.raw, RawSpan(), RawSpan(), into: &$0)
                }
            }
        }
        let hash = BLAKE2s.hash(digests.raw)
        #expect(
            hash.bytes.hex == "6a411f08ce25adcdfb02aba641451cec53c598b24f4fc787fbdc88797f4c1dfe")
    }

    @Test("three inputs hash like their concatenation, for all splits")
    func joined() {
        let input = bytes(130)
        let key = bytes(32)
        let hash = BLAKE2s.hash(input.raw)
        let mac = BLAKE2s.mac(key: key.raw, input.raw)
        for first in stride(from: 0, through: 130, by: 13) {
            for second in stride(from: first, through: 130, by: 13) {
                let a = Array(input[..<first])
                let b = Array(input[first..<second])
                let c = Array(input[second...])
                let hashOfThree = BLAKE2s.hash(a.raw, b.raw, c.raw)
                #expect(hashOfThree == hash)
                let macOfThree = BLAKE2s.mac(key: key.raw, a.raw, b.raw, c.raw)
                let isEqual = ConstantTime.equal(macOfThree.bytes, mac.bytes)
                #expect(isEqual)
            }
        }
    }

    /// 00 01 02 …
    private func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { UInt8($0) }
    }

    /// The Fibonacci generator of the self-test. The seed is the length.
    private func sequence(_ count: Int) -> [UInt8] {
        var a = 0xDEAD_4BAD &* UInt32(count)
        var b: UInt32 = 1
        return (0..<count).map { _ in
            (a, b) = (b, a &+ b)
            return UInt8(b >> 24)
        }
    }
}
