/// A run of plain values whose number is fixed at start: the storage of everything on the packet
/// path. It never grows, is never copied, and its elements hold no references.
///
/// Public, though of use in this package alone: other modules get a specialised copy of what is
/// inlinable and public, and call the generic one, 20 times as slow, if it is `package`.
@safe
public struct FixedArray<Element: BitwiseCopyable>: ~Copyable {
    // First, since Swift 6.3.1 tells the thread sanitizer of an access to what the first word points to.
    @usableFromInline
    let base: UnsafeMutablePointer<Element>
    /// The number of elements.
    public let count: Int

    /// Makes an array of `count` elements, each of them `value`.
    public init(repeating value: Element, count: Int) {
        precondition(count > 0)
        unsafe base = UnsafeMutablePointer<Element>.allocate(capacity: count)
        unsafe base.initialize(repeating: value, count: count)
        self.count = count
    }

    /// Makes an array of `count` elements, each of which is written before it is read: until then, what
    /// it holds is unspecified, and its page costs neither time nor memory.
    package init(unwritten count: Int) {
        precondition(count > 0)
        unsafe base = UnsafeMutablePointer<Element>.allocate(capacity: count)
        self.count = count
    }

    deinit {
        // The elements are trivial: nothing to deinitialise.
        unsafe base.deallocate()
    }

    /// The first `length` elements, to read.
    @inlinable
    @_lifetime(borrow self)
    public func prefix(_ length: Int) -> Span<Element> {
        precondition(length >= 0 && length <= count)
        // Checked above.
        let span = unsafe Span(_unsafeStart: base, count: length)
        return unsafe _overrideLifetime(span, borrowing: self)
    }

    /// The first `length` elements, to change.
    @inlinable
    @_lifetime(&self)
    public mutating func mutablePrefix(_ length: Int) -> MutableSpan<Element> {
        precondition(length >= 0 && length <= count)
        // Checked above.
        let span = unsafe MutableSpan(_unsafeStart: base, count: length)
        return unsafe _overrideLifetime(span, mutating: &self)
    }

    /// The element at `index`, which must be below `count`.
    @inlinable
    public subscript(index: Int) -> Element {
        @inline(always)
        get {
            precondition(index >= 0 && index < count)
            // Checked above.
            return unsafe base[index]
        }
        @inline(always)
        _modify {
            precondition(index >= 0 && index < count)
            // Checked above.
            yield unsafe &base[index]
        }
    }
}

// The memory belongs to this value alone, and its elements are plain bits.
extension FixedArray: @unchecked Sendable where Element: Sendable {}
