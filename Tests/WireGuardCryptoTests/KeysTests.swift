import Testing
import WireGuardCrypto

@Suite struct KeysTests {
    @Test("a key must have 32 bytes", arguments: [0, 1, 31, 33, 64])
    func wrongLength(count: Int) {
        let bytes = [UInt8](repeating: 1, count: count)
        let hasPublic = PublicKey(bytes: bytes.raw) != nil
        #expect(!hasPublic)
        if PrivateKey(bytes: bytes.raw) != nil { Issue.record("a private key") }
        if PresharedKey(bytes: bytes.raw) != nil { Issue.record("a preshared key") }
        if SymmetricKey(bytes: bytes.raw) != nil { Issue.record("a symmetric key") }
    }

    @Test("any 32 bytes become a clamped private key", arguments: [UInt8(0), 0x55, 0xFF])
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

    @Test("public keys are equal and hash equally exactly when all bytes are equal")
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

    @Test("a public key is stored in 32 bytes")
    func layout() {
        #expect(MemoryLayout<PublicKey>.size == 32)
        #expect(MemoryLayout<PublicKey>.stride == 32)
    }

    @Test("base64 and hexadecimal text of public keys, as wg writes them")
    func base64() {
        // Checked with another base64 implementation.
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
            #expect(key?.base64 == row.text && key?.description == row.text)
            #expect(PublicKey(base64: row.text) == key)
            let digits = bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
            #expect(key?.hexadecimal == digits)
            #expect(PublicKey(hexadecimal: digits) == key)
            #expect(PublicKey(hexadecimal: digits.uppercased()) == key)
        }
    }

    @Test("secret keys from base64 and hexadecimal, as strings and as bytes")
    func secretText() throws {
        let text = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
        let digits = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F"
        let bytes = (0..<32).map { UInt8($0) }
        guard let expected = PrivateKey(bytes: bytes.raw),
            let private1 = PrivateKey(base64: text), let private2 = PrivateKey(hexadecimal: digits),
            let private3 = PrivateKey(base64: Array(text.utf8).raw),
            let private4 = PrivateKey(hexadecimal: Array(digits.utf8).raw),
            let preshared1 = PresharedKey(base64: text),
            let preshared2 = PresharedKey(hexadecimal: digits),
            let preshared3 = PresharedKey(base64: Array(text.utf8).raw),
            let preshared4 = PresharedKey(hexadecimal: Array(digits.utf8).raw)
        else { throw WrongLength() }
        let areEqual =
            private1 == expected && private2 == expected && private3 == expected
            && private4 == expected
        #expect(areEqual)
        #expect(preshared1.bytes.array == bytes && preshared2.bytes.array == bytes)
        #expect(preshared3.bytes.array == bytes && preshared4.bytes.array == bytes)
    }

    @Test("every byte value survives both encodings, in every position")
    func roundTrip() throws {
        for byte in UInt8.min...UInt8.max {
            let bytes = (0..<32).map { byte &+ UInt8($0) &* 7 }
            let key = try publicKey(bytes)
            #expect(PublicKey(base64: key.base64) == key)
            #expect(PublicKey(hexadecimal: key.hexadecimal) == key)
        }
    }

    @Test("in every position, only characters of the alphabet are valid")
    func alphabets() {
        let text = Array("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".utf8)
        let digits = Array("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f".utf8)
        let base64 = Set(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        let hexadecimal = Set("0123456789abcdefABCDEF".utf8)
        // The last character of base64 carries four bits, and its two lower bits are zero.
        let last = Set("AEIMQUYcgkosw048".utf8)
        for byte in UInt8.min...UInt8.max {
            for position in text.indices {
                var changed = text
                changed[position] = byte
                let valid: Bool
                switch position {
                case 43: valid = byte == UInt8(ascii: "=")
                case 42: valid = last.contains(byte)
                default: valid = base64.contains(byte)
                }
                let isAccepted = PublicKey(base64: changed.raw) != nil
                #expect(isAccepted == valid, "\(byte) at \(position)")
            }
            for position in [0, 1, 31, 62, 63] {
                var changed = digits
                changed[position] = byte
                let isAccepted = PublicKey(hexadecimal: changed.raw) != nil
                #expect(isAccepted == hexadecimal.contains(byte), "\(byte) at \(position)")
            }
        }
    }

    @Test(
        "texts that are not a key",
        arguments: [
            "", "=", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8==",
            " AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=",
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdH===",
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBka_xwdHh8=",
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1",
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f0",
            "0x0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1g",
        ])
    func noKey(text: String) {
        #expect(PublicKey(base64: text) == nil && PublicKey(hexadecimal: text) == nil)
        if PrivateKey(base64: text) != nil { Issue.record("a private key") }
        if PrivateKey(hexadecimal: text) != nil { Issue.record("a private key") }
        if PresharedKey(base64: text) != nil { Issue.record("a preshared key") }
        if PresharedKey(hexadecimal: text) != nil { Issue.record("a preshared key") }
    }

    @Test("zeros are no private key, but a preshared key that stands for none")
    func zeroText() throws {
        let text = String(repeating: "A", count: 43) + "="
        let digits = String(repeating: "0", count: 64)
        if PrivateKey(base64: text) != nil { Issue.record("a private key") }
        if PrivateKey(hexadecimal: digits) != nil { Issue.record("a private key") }
        guard let preshared = PresharedKey(base64: text) else { throw WrongLength() }
        let isZero = preshared.isZero
        #expect(isZero)
        #expect(PublicKey(base64: text)?.isZero == true)
    }

    @Test("no description reveals a secret")
    func noDescription() throws {
        let bytes = [UInt8](repeating: 0xA7, count: 32)
        guard let key = PresharedKey(bytes: bytes.raw), let own = PrivateKey(bytes: bytes.raw)
        else {
            throw WrongLength()
        }
        #expect(key.description == "PresharedKey(…)" && own.description == "PrivateKey(…)")
        #expect(PresharedKey().description == "PresharedKey(none)")
        // String interpolation accepts no ~Copyable value, so only the slot can be printed.
        let printed = String(reflecting: Secret32(copying: key.bytes).slotForTests)
        #expect(!printed.contains("a7a7") && !printed.contains("167, 167"))
    }
}
