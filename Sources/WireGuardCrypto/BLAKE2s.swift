import CBlake2

/// BLAKE2s (RFC 7693) as WireGuard uses it (paper §5.4): Hash with 32 bytes, keyed Mac with 16, and HMAC.
///
/// Each function takes up to three inputs and hashes their concatenation. Inputs can be secret, so the state
/// of a hash stays in one place on the stack and is wiped there.
package enum BLAKE2s {
    /// The output size of ``hash(_:_:_:into:)`` and ``hmac(key:_:_:into:)`` in bytes.
    package static let hashSize = 32
    /// The output size of ``mac(key:_:_:_:into:)`` in bytes.
    package static let macSize = 16
    /// The size of a block in bytes.
    static let blockSize = 64

    /// Hash(`a` ‖ `b` ‖ `c`).
    package static func hash(
        _ a: RawSpan, _ b: RawSpan = RawSpan(), _ c: RawSpan = RawSpan()
    ) -> Bytes32 {
        Bytes32 { hash(a, b, c, into: &$0) }
    }

    /// Writes Hash(`a` ‖ `b` ‖ `c`) to `output`, which must have 32 bytes.
    package static func hash(
        _ a: RawSpan, _ b: RawSpan = RawSpan(), _ c: RawSpan = RawSpan(),
        into output: inout MutableRawSpan
    ) {
        precondition(output.byteCount == hashSize)
        digest(key: RawSpan(), a, b, c, into: &output)
    }

    /// Mac(`key`, `a` ‖ `b` ‖ `c`). The key must have at most 32 bytes.
    package static func mac(
        key: RawSpan, _ a: RawSpan, _ b: RawSpan = RawSpan(), _ c: RawSpan = RawSpan()
    ) -> Bytes16 {
        Bytes16 { mac(key: key, a, b, c, into: &$0) }
    }

    /// Writes Mac(`key`, `a` ‖ `b` ‖ `c`) to `output`, which must have 16 bytes. The key must have at most 32
    /// bytes.
    package static func mac(
        key: RawSpan, _ a: RawSpan, _ b: RawSpan = RawSpan(), _ c: RawSpan = RawSpan(),
        into output: inout MutableRawSpan
    ) {
        precondition(output.byteCount == macSize)
        digest(key: key, a, b, c, into: &output)
    }

    /// Writes Hmac(`key`, `a` ‖ `b`), RFC 2104 with BLAKE2s, to `output`, which must have 32 bytes. The key
    /// must have at most 64 bytes, one block.
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

    /// BLAKE2s with an output of 1 to 32 bytes and a key of at most 32 bytes. An empty key means no key.
    package static func digest(
        key: RawSpan, _ a: RawSpan, _ b: RawSpan, _ c: RawSpan,
        into output: inout MutableRawSpan
    ) {
        precondition(1...hashSize ~= output.byteCount && key.byteCount <= hashSize)
        var state = blake2s_state()
        defer { wipe(&state) }
        // These fail only for invalid lengths, which were checked above.
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
