/// Kdf1, Kdf2 and Kdf3 of the WireGuard paper, §5.4: HKDF (RFC 5869) with HMAC-BLAKE2s. The key is the salt
/// and the info is empty.
///
///     T0 := Hmac(key, input),  T1 := Hmac(T0, 0x1),  T2 := Hmac(T0, T1 ‖ 0x2),  T3 := Hmac(T0, T2 ‖ 0x3)
///
/// The variants with a chaining key replace it with T1, as each step of the handshake does.
package enum KDF {
    /// T1 := Kdf1(`key`, `input`).
    package static func kdf1(key: RawSpan, input: RawSpan, into first: inout Secret32) {
        let temporary = extract(key, input)
        expand(temporary, into: &first)
    }

    /// (T1, T2) := Kdf2(`key`, `input`).
    package static func kdf2(
        key: RawSpan, input: RawSpan, into first: inout Secret32, _ second: inout Secret32
    ) {
        let temporary = extract(key, input)
        expand(temporary, into: &first)
        expand(temporary, first, 2, into: &second)
    }

    /// (T1, T2, T3) := Kdf3(`key`, `input`).
    package static func kdf3(
        key: RawSpan, input: RawSpan,
        into first: inout Secret32, _ second: inout Secret32, _ third: inout Secret32
    ) {
        let temporary = extract(key, input)
        expand(temporary, into: &first)
        expand(temporary, first, 2, into: &second)
        expand(temporary, second, 3, into: &third)
    }

    /// C := Kdf1(C, `input`).
    package static func kdf1(chainingKey: inout Secret32, input: RawSpan) {
        let temporary = extract(chainingKey.bytes, input)
        expand(temporary, into: &chainingKey)
    }

    /// (C, k) := Kdf2(C, `input`).
    package static func kdf2(
        chainingKey: inout Secret32, input: RawSpan, key: inout Secret32
    ) {
        let temporary = extract(chainingKey.bytes, input)
        expand(temporary, into: &chainingKey)
        expand(temporary, chainingKey, 2, into: &key)
    }

    /// (C, t, k) := Kdf3(C, `input`).
    package static func kdf3(
        chainingKey: inout Secret32, input: RawSpan, hash: inout Secret32, key: inout Secret32
    ) {
        let temporary = extract(chainingKey.bytes, input)
        expand(temporary, into: &chainingKey)
        expand(temporary, chainingKey, 2, into: &hash)
        expand(temporary, hash, 3, into: &key)
    }

    private static func extract(_ key: RawSpan, _ input: RawSpan) -> Secret32 {
        var result = Secret32()
        var bytes = result.mutableBytes
        BLAKE2s.hmac(key: key, input, into: &bytes)
        return result
    }

    private static func expand(_ key: borrowing Secret32, into output: inout Secret32) {
        let label = InlineArray<1, UInt8>(repeating: 1)
        var bytes = output.mutableBytes
        unsafe BLAKE2s.hmac(key: key.bytes, label.span.bytes, into: &bytes)
    }

    private static func expand(
        _ key: borrowing Secret32, _ previous: borrowing Secret32, _ number: UInt8,
        into output: inout Secret32
    ) {
        let label = InlineArray<1, UInt8>(repeating: number)
        var bytes = output.mutableBytes
        unsafe BLAKE2s.hmac(key: key.bytes, previous.bytes, label.span.bytes, into: &bytes)
    }
}
