// Loads and stores that are wider than those in ByteOrder.swift.
extension RawSpan {
    /// Loads sixteen 64-bit words in memory byte order, with one bounds check for 128 bytes.
    @inlinable @inline(always)
    package func loadWordPair(at offset: Int) -> (SIMD8<UInt64>, SIMD8<UInt64>) {
        precondition(offset >= 0 && offset &+ 128 <= byteCount)
        // Checked above. Any bits are a valid vector.
        return unsafe (
            unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: SIMD8<UInt64>.self),
            unsafeLoadUnaligned(fromUncheckedByteOffset: offset &+ 64, as: SIMD8<UInt64>.self)
        )
    }

    /// Loads eight 64-bit words in memory byte order.
    @inlinable @inline(always)
    package func loadWords(at offset: Int) -> SIMD8<UInt64> {
        precondition(offset >= 0 && offset &+ 64 <= byteCount)
        // Checked above. Any bits are a valid vector.
        return unsafe unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: SIMD8<UInt64>.self)
    }

    /// Loads two 64-bit words in memory byte order.
    @inlinable @inline(always)
    package func loadTwoWords(at offset: Int) -> SIMD2<UInt64> {
        precondition(offset >= 0 && offset &+ 16 <= byteCount)
        // Checked above. Any bits are a valid vector.
        return unsafe unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: SIMD2<UInt64>.self)
    }
}

extension MutableRawSpan {
    /// Stores sixteen 64-bit words in memory byte order, with one bounds check for 128 bytes.
    @inlinable @inline(always)
    package mutating func storeWordPair(
        _ first: SIMD8<UInt64>, _ second: SIMD8<UInt64>, at offset: Int
    ) {
        precondition(offset >= 0 && offset &+ 128 <= byteCount)
        unsafe withUnsafeMutableBytes { bytes in
            // Checked above, so the span has a base address. Stores need no alignment.
            let base = unsafe bytes.baseAddress.unsafelyUnwrapped
            unsafe base.storeBytes(of: first, toByteOffset: offset, as: SIMD8<UInt64>.self)
            unsafe base.storeBytes(of: second, toByteOffset: offset &+ 64, as: SIMD8<UInt64>.self)
        }
    }

    /// Copies `count` bytes of `source` at `offset` to this span at `target`.
    @inlinable @inline(always)
    package mutating func copy(_ count: Int, from source: RawSpan, at offset: Int, to target: Int) {
        precondition(count >= 0 && offset >= 0 && target >= 0)
        precondition(count <= source.byteCount &- offset && count <= byteCount &- target)
        guard count > 0 else { return }
        // Both ranges were checked above and are not empty, so both spans have a base address.
        unsafe source.withUnsafeBytes { from in
            unsafe withUnsafeMutableBytes { to in
                let to = unsafe UnsafeMutableRawBufferPointer(rebasing: to[target...])
                unsafe to.copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: from[offset..<(offset &+ count)]))
            }
        }
    }

    /// Sets the bytes of `range` to zero.
    @inlinable @inline(always)
    package mutating func zero(_ range: Range<Int>) {
        for offset in range { storeBytes(of: 0, toByteOffset: offset, as: UInt8.self) }
    }
}
