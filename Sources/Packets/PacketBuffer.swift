/// Memory that packets are read into, processed in and written from.
///
/// It is page-aligned, allocated once at start, and never grows. Its contents are unspecified until the
/// first write, and pages that are not touched cost no memory.
@safe
public struct PacketBuffer: ~Copyable, @unchecked Sendable {
    /// The number of bytes.
    public let byteCount: Int
    @usableFromInline
    let base: UnsafeMutableRawPointer

    /// Makes a buffer of `byteCount` bytes.
    public init(byteCount: Int) {
        precondition(byteCount > 0)
        self.byteCount = byteCount
        unsafe base = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: 4096)
    }

    deinit {
        unsafe base.deallocate()
    }

    /// All bytes, for reading.
    @inlinable
    public var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            let span = unsafe RawSpan(_unsafeStart: base, byteCount: byteCount)
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    /// All bytes, for reading and writing.
    @inlinable
    public var mutableBytes: MutableRawSpan {
        @_lifetime(&self)
        mutating get {
            let span = unsafe MutableRawSpan(_unsafeStart: base, byteCount: byteCount)
            return unsafe _overrideLifetime(span, mutating: &self)
        }
    }
}
