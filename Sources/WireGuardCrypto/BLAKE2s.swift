import CBlake2

/// BLAKE2s (RFC 7693) as WireGuard uses it: Hash with 32 bytes, Mac keyed with 16, and HMAC.
///
/// Each takes up to three inputs, hashed as if joined. The state of a hash lives in one place on the
/// stack and is wiped there: messages pass through it that are secret.
package enum BLAKE2s {
    /// The bytes of ``hash(_:_:_:into:)`` and ``hmac(key:_:_:into:)``.
    package static let hashSize = 32
    /// The bytes of ``mac(key:_:_:_:into:)``.
    package static let macSize = 16
    /// The bytes of a block.
    static let blockSize = 64

    /// Hash(`a` ‖ `b` ‖ `c`).
    package static func hash(
        _ a: RawSpan, _ b: RawSpan = RawSpan(), _ c: RawSpan = RawSpan()
    ) -> Bytes32 {
        Bytes32 { hash(a, b, c, into: &$0) }
    }

    /// Hash(`a` ‖ `b` ‖ `c`) to the 32 bytes of `output`.
    package static func hash(
        _ a: RawSpan, _ b: RawSpan = RawSpan(), _ c: RawSpan = RawSpan(),
        into output: inout MutableRawSpan
    ) {
        precondition(output.byteCount == hashSize)
        digest(key: RawSpan(), a, b, c, into: &output)
    }

    /// Mac(`key`, `a` ‖ `b` ‖ `c`). The key is at most 32 bytes.
    package static func mac(
        key: RawSpan, _ a: RawSpan, _ b: RawSpan = RawSpan(), _ c: RawSpan = RawSpan()
    ) -> Bytes16 {
        Bytes16 { mac(key: key, a, b, c, into: &$0) }
    }

    /// Mac(`key`, `a` ‖ `b` ‖ `c`) to the 16 bytes of `output`. The key is at most 32 bytes.
    package static func mac(
        key: RawSpan, _ a: RawSpan, _ b: RawSpan = RawSpan(), _ c: RawSpan = RawSpan(),
        into output: inout MutableRawSpan
    ) {
        precondition(output.byteCount == macSize)
        digest(key: key, a, b, c, into: &output)
    }

    /// HMAC (RFC 2104) with BLAKE2s of `a` ‖ `b` to the 32 bytes of `output`. The key is at most one
    /// block of 64 bytes.
    package static func hmac(
        key: RawSpan, _ a: RawSpan, _ b: RawSpan = RawSpan(), into output: inout MutableRawSpan
    ) {
        precondition(key.byteCount <= blockSize && output.byteCount == hashSize)
        var block = InlineArray<64, UInt8>(repeating: 0)
        var inner = InlineArray<32, UInt8>(repeating: 0)
        defer {
            wipe(&block)
            wipe(&inner)
        }
        // H((K ⊕ opad) ‖ H((K ⊕ ipad) ‖ text))
        fill(&block, with: key, pad: 0x36)
        var innerSpan = inner.mutableSpan
        var innerBytes = unsafe innerSpan.mutableBytes
        unsafe hash(block.span.bytes, a, b, into: &innerBytes)
        fill(&block, with: key, pad: 0x5C)
        unsafe hash(block.span.bytes, inner.span.bytes, into: &output)
    }

    /// BLAKE2s of any output length from 1 to 32 bytes and any key of at most 32.
    package static func digest(
        key: RawSpan, _ a: RawSpan, _ b: RawSpan, _ c: RawSpan,
        into output: inout MutableRawSpan
    ) {
        precondition(1...hashSize ~= output.byteCount && key.byteCount <= hashSize)
        var state = blake2s_state()
        defer { wipe(&state) }
        // The lengths were checked above; nothing else makes these fail.
        if key.isEmpty {
            _ = unsafe blake2s_init(&state, output.byteCount)
        } else {
            unsafe key.withUnsafeBytes { key in
                _ = unsafe blake2s_init_key(
                    &state, output.byteCount, key.baseAddress, key.count)
            }
        }
        update(&state, a)
        update(&state, b)
        update(&state, c)
        unsafe output.withUnsafeMutableBytes { output in
            _ = unsafe blake2s_final(&state, output.octets, output.count)
        }
    }

    private static func update(_ state: inout blake2s_state, _ input: RawSpan) {
        guard !input.isEmpty else { return }
        unsafe input.withUnsafeBytes { input in
            _ = unsafe blake2s_update(&state, input.octets, input.count)
        }
    }

    private static func fill(
        _ block: inout InlineArray<64, UInt8>, with key: RawSpan, pad: UInt8
    ) {
        unsafe key.withUnsafeBytes { key in
            for index in 0..<blockSize {
                block[index] = unsafe (index < key.count ? key[index] : 0) ^ pad
            }
        }
    }
}
