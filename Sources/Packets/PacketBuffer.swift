/// A fixed run of memory that packets are read into, worked on in place and written from.
///
/// It is made once, page-aligned, and never grows: memory is fixed at start. A page that no packet
/// has touched yet costs nothing, so what it holds before the first write is unspecified.
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

    /// All bytes, to read.
    @inlinable
    public var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            let span = unsafe RawSpan(_unsafeStart: base, byteCount: byteCount)
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    /// All bytes, to read and write.
    @inlinable
    public var mutableBytes: MutableRawSpan {
        @_lifetime(&self)
        mutating get {
            let span = unsafe MutableRawSpan(_unsafeStart: base, byteCount: byteCount)
            return unsafe _overrideLifetime(span, mutating: &self)
        }
    }
}
