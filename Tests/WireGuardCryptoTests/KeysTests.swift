import Testing
import WireGuardCrypto

@Suite struct KeysTests {
    @Test("a key of another length than 32 bytes is none", arguments: [0, 1, 31, 33, 64])
    func wrongLength(count: Int) {
        let bytes = [UInt8](repeating: 1, count: count)
        let hasPublic = PublicKey(bytes: bytes.raw) != nil
        #expect(!hasPublic)
        if PrivateKey(bytes: bytes.raw) != nil { Issue.record("a private key") }
        if PresharedKey(bytes: bytes.raw) != nil { Issue.record("a preshared key") }
        if SymmetricKey(bytes: bytes.raw) != nil { Issue.record("a symmetric key") }
    }

    @Test("a private key is clamped, whatever its bytes", arguments: [UInt8(0), 0x55, 0xFF])
    func clamped(byte: UInt8) throws {
        let bytes = [UInt8](repeating: byte, count: 32)
        guard let key = PrivateKey(bytes: bytes.raw) else { throw WrongLength() }
        var expected = bytes
        expected[0] &= 0xF8
        expected[31] = expected[31] & 0x7F | 0x40
        #expect(key.bytes.array == expected)
        let copy = key.copy()
        let isEqual = copy == key
        #expect(isEqual)
    }

    @Test("public keys are equal, and hash alike, exactly when all bytes are equal")
    func publicKeyEquality() throws {
        let bytes = (0..<32).map { UInt8($0) }
        let key = try publicKey(bytes)
        let same = try publicKey(bytes)
        #expect(key == same)
        #expect(key.bytes.array == bytes)
        var keys: Set = [key, same]
        for bit in 0..<256 {
            var other = bytes
            other[bit / 8] ^= 1 << UInt8(bit % 8)
            let otherKey = try publicKey(other)
            #expect(otherKey != key)
            keys.insert(otherKey)
        }
        #expect(keys.count == 257)
    }

    @Test("only 32 zeros are the zero key")
    func zero() throws {
        var bytes = [UInt8](repeating: 0, count: 32)
        #expect(try publicKey(bytes).isZero)
        let isZero = PresharedKey().isZero
        #expect(isZero)
        for index in 0..<32 {
            bytes[index] = 0x80
            #expect(try publicKey(bytes).isZero == false)
            guard let preshared = PresharedKey(bytes: bytes.raw) else { throw WrongLength() }
            let isZero = preshared.isZero
            #expect(!isZero)
            bytes[index] = 0
        }
    }

    @Test("a public key takes no more room than its bytes")
    func layout() {
        #expect(MemoryLayout<PublicKey>.size == 32)
        #expect(MemoryLayout<PublicKey>.stride == 32)
    }

    @Test("a public key is written as wg writes it")
    func base64() {
        // What `wg genkey | wg pubkey` makes, decoded by another program.
        let rows: [(first: UInt8, step: UInt8, text: String)] = [
            (0, 0, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            (0xFF, 0, "//////////////////////////////////////////8="),
            (0, 1, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
            (0xFB, 1, "+/z9/v8AAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRo="),
        ]
        for row in rows {
            let bytes = (0..<32).map { row.first &+ row.step &* UInt8($0) }
            // Bytes have no padding.
            let key = unsafe PublicKey(bytes: bytes.span.bytes)
            #expect(key?.base64 == row.text)
        }
    }

    @Test("no secret is in the printed form of a key")
    func noDescription() throws {
        let bytes = [UInt8](repeating: 0xA7, count: 32)
        guard let key = PresharedKey(bytes: bytes.raw) else { throw WrongLength() }
        // A ~Copyable value is accepted by no string interpolation; what can be printed is its slot.
        let printed = String(reflecting: Secret32(copying: key.bytes).slotForTests)
        #expect(!printed.contains("a7a7") && !printed.contains("167, 167"))
    }
}
