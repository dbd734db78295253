import CSodium

/// Decodes and encodes the text of 32-byte keys, as `wg` reads and writes them.
///
/// Decoding is for secrets: it has no branch and no memory access that depends on the characters, and
/// it examines all of them even after an invalid one.
enum KeyText {
    /// The number of hexadecimal digits of a key.
    static let hexadecimalCount = 64
    /// The number of base64 characters of a key (RFC 4648, section 4), with one `=` at the end.
    static let base64Count = 44

    /// Writes the 32 bytes that `text` encodes in hexadecimal digits of either case.
    ///
    /// - Returns: false if `text` is anything else; `bytes` is then unspecified.
    static func decode(hexadecimal text: RawSpan, into bytes: inout MutableRawSpan) -> Bool {
        guard text.byteCount == hexadecimalCount, bytes.byteCount == 32 else { return false }
        var invalid: Int32 = 0
        for index in 0..<32 {
            let high = hexadecimalValue(character(text, index &* 2))
            let low = hexadecimalValue(character(text, index &* 2 &+ 1))
            // An invalid digit is -1.
            invalid |= high | low
            let byte = UInt8(truncatingIfNeeded: high &<< 4 | low)
            bytes.storeBytes(of: byte, toByteOffset: index, as: UInt8.self)
        }
        return invalid >= 0
    }

    /// Writes the 32 bytes that `text` encodes in base64.
    ///
    /// - Returns: false if `text` is anything else; `bytes` is then unspecified. As for `wg`, the two
    ///   unused bits of the last character must be zero.
    static func decode(base64 text: RawSpan, into bytes: inout MutableRawSpan) -> Bool {
        guard text.byteCount == base64Count, bytes.byteCount == 32,
            character(text, base64Count &- 1) == Int32(UInt8(ascii: "="))
        else { return false }
        var invalid: Int32 = 0
        for group in 0..<11 {
            var word: Int32 = 0
            for index in 0..<4 {
                // The final '=' counts as zero bits.
                let isPadding = group == 10 && index == 3
                let value = isPadding ? 0 : base64Value(character(text, group &* 4 &+ index))
                invalid |= value
                word = word &<< 6 | value
            }
            bytes.storeBytes(
                of: UInt8(truncatingIfNeeded: word &>> 16), toByteOffset: group &* 3,
                as: UInt8.self)
            bytes.storeBytes(
                of: UInt8(truncatingIfNeeded: word &>> 8), toByteOffset: group &* 3 &+ 1,
                as: UInt8.self)
            if group < 10 {
                bytes.storeBytes(
                    of: UInt8(truncatingIfNeeded: word), toByteOffset: group &* 3 &+ 2,
                    as: UInt8.self)
            } else {
                // The low byte must be zero; its negation is negative otherwise.
                invalid |= 0 &- (word & 0xFF)
            }
        }
        return invalid >= 0
    }

    /// The base64 text of 32 public bytes. Not constant-time.
    static func base64(_ bytes: RawSpan) -> String {
        let alphabet = Array(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var text: [UInt8] = []
        let octets = array(bytes)
        for start in stride(from: 0, to: octets.count, by: 3) {
            let group = (0..<3).map { start + $0 < octets.count ? UInt32(octets[start + $0]) : 0 }
            let word = group[0] << 16 | group[1] << 8 | group[2]
            for shift in [18, 12, 6, 0] as [UInt32] {
                text.append(alphabet[Int(word >> shift & 63)])
            }
        }
        // 32 bytes are ten groups of three and two more bytes, so the last character is padding.
        text[text.count - 1] = UInt8(ascii: "=")
        return String(decoding: text, as: UTF8.self)
    }

    /// The lower-case hexadecimal digits of public bytes. Not constant-time.
    static func hexadecimal(_ bytes: RawSpan) -> String {
        let digits = Array("0123456789abcdef".utf8)
        let text = array(bytes).flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
        return String(decoding: text, as: UTF8.self)
    }

    private static func array(_ bytes: RawSpan) -> [UInt8] {
        (0..<bytes.byteCount).map { index in
            // Less than the number of bytes.
            unsafe bytes.unsafeLoad(fromByteOffset: index, as: UInt8.self)
        }
    }

    private static func character(_ text: RawSpan, _ index: Int) -> Int32 {
        // Checked: traps beyond the end.
        precondition(index >= 0 && index < text.byteCount)
        return Int32(unsafe text.unsafeLoad(fromByteOffset: index, as: UInt8.self))
    }

    /// The value of a hexadecimal digit, or -1.
    private static func hexadecimalValue(_ character: Int32) -> Int32 {
        // Each range adds one more than the value to the -1 of an invalid character.
        -1
            &+ (mask(character, "0", "9") & (character &- 47))
            &+ (mask(character, "A", "F") & (character &- 54))
            &+ (mask(character, "a", "f") & (character &- 86))
    }

    /// The value of a base64 character, or -1.
    private static func base64Value(_ character: Int32) -> Int32 {
        -1
            &+ (mask(character, "A", "Z") & (character &- 64))
            &+ (mask(character, "a", "z") & (character &- 70))
            &+ (mask(character, "0", "9") & (character &+ 5))
            &+ (mask(character, "+", "+") & 63)
            &+ (mask(character, "/", "/") & 64)
    }

    /// All ones if `character` is in the range, else zero.
    @inline(__always)
    private static func mask(
        _ character: Int32, _ first: Unicode.Scalar, _ last: Unicode.Scalar
    ) -> Int32 {
        let isAtLeast = (Int32(first.value) &- 1) &- character
        let isAtMost = character &- (Int32(last.value) &+ 1)
        // Both differences are negative exactly inside the range. Without `csodium_opaque`, the optimizer
        // turns the masks into branches.
        return csodium_opaque((isAtLeast & isAtMost) &>> 31)
    }
}

extension Secret32 {
    /// The 32 bytes that 64 hexadecimal digits of either case encode, decoded in constant time; nil if
    /// `text` is anything else.
    package init?(hexadecimal text: RawSpan) {
        self.init()
        var bytes = mutableBytes
        guard KeyText.decode(hexadecimal: text, into: &bytes) else { return nil }
    }

    /// The 32 bytes that 44 base64 characters encode, decoded in constant time; nil if `text` is
    /// anything else.
    package init?(base64 text: RawSpan) {
        self.init()
        var bytes = mutableBytes
        guard KeyText.decode(base64: text, into: &bytes) else { return nil }
    }
}
