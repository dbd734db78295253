// All integer loads and stores of multi-byte fields.
//
// Offsets are in bytes from the start of the span. A load or store outside of the span traps, so check
// lengths once, where you make a view of the bytes.
extension RawSpan {
    /// The byte at `offset`.
    @inlinable @inline(always)
    public func byte(at offset: Int) -> UInt8 {
        precondition(offset >= 0 && offset < byteCount)
        // Checked above.
        return unsafe unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt8.self)
    }

    /// Loads an integer in network byte order.
    @inlinable @inline(always)
    public func loadBigEndian<T: FixedWidthInteger & BitwiseCopyable>(at offset: Int, as: T.Type)
        -> T
    {
        T(bigEndian: loadNative(at: offset, as: T.self))
    }

    /// Loads an integer in the byte order of WireGuard messages.
    @inlinable @inline(always)
    public func loadLittleEndian<T: FixedWidthInteger & BitwiseCopyable>(
        at offset: Int, as: T.Type
    ) -> T {
        T(littleEndian: loadNative(at: offset, as: T.self))
    }

    @inlinable @inline(always)
    func loadNative<T: FixedWidthInteger & BitwiseCopyable>(at offset: Int, as: T.Type) -> T {
        precondition(offset >= 0 && offset &+ MemoryLayout<T>.size <= byteCount)
        // Checked above. The sum cannot overflow, because no span is that large.
        return unsafe unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: T.self)
    }
}

extension MutableRawSpan {
    /// The byte at `offset`.
    @inlinable @inline(always)
    public func byte(at offset: Int) -> UInt8 {
        bytes.byte(at: offset)
    }

    /// Loads an integer in network byte order.
    @inlinable @inline(always)
    public func loadBigEndian<T: FixedWidthInteger & BitwiseCopyable>(at offset: Int, as: T.Type)
        -> T
    {
        bytes.loadBigEndian(at: offset, as: T.self)
    }

    /// Loads an integer in the byte order of WireGuard messages.
    @inlinable @inline(always)
    public func loadLittleEndian<T: FixedWidthInteger & BitwiseCopyable>(
        at offset: Int, as: T.Type
    ) -> T {
        bytes.loadLittleEndian(at: offset, as: T.self)
    }

    /// Stores one byte.
    @inlinable @inline(always)
    public mutating func store(byte: UInt8, at offset: Int) {
        storeBytes(of: byte, toByteOffset: offset, as: UInt8.self)
    }

    /// Stores an integer in network byte order.
    @inlinable @inline(always)
    public mutating func store<T: FixedWidthInteger & BitwiseCopyable>(
        bigEndian value: T, at offset: Int
    ) {
        storeBytes(of: value.bigEndian, toByteOffset: offset, as: T.self)
    }

    /// Stores an integer in the byte order of WireGuard messages.
    @inlinable @inline(always)
    public mutating func store<T: FixedWidthInteger & BitwiseCopyable>(
        littleEndian value: T, at offset: Int
    ) {
        storeBytes(of: value.littleEndian, toByteOffset: offset, as: T.self)
    }
}
