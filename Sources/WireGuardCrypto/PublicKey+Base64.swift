extension PublicKey {
    /// The key as `wg` shows it: base64 (RFC 4648, section 4) of its 32 bytes, 44 characters.
    public var base64: String {
        let alphabet = Array(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var text: [UInt8] = []
        let bytes = (0..<PublicKey.byteCount).map { index in
            // Below the 32 bytes of a key.
            unsafe self.bytes.unsafeLoad(fromByteOffset: index, as: UInt8.self)
        }
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = (0..<3).map { start + $0 < bytes.count ? UInt32(bytes[start + $0]) : 0 }
            let word = group[0] << 16 | group[1] << 8 | group[2]
            for shift in [18, 12, 6, 0] as [UInt32] {
                text.append(alphabet[Int(word >> shift & 63)])
            }
        }
        // 32 bytes are ten groups and two bytes: the last character of 44 stands for nothing.
        text[text.count - 1] = UInt8(ascii: "=")
        return String(decoding: text, as: UTF8.self)
    }
}
