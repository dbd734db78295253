/// A fixed number of trivial values in one allocation: the storage of the packet path. It never grows and
/// is never copied, and its elements hold no references.
///
/// It is public only for speed: other modules specialise inlinable public code, but call the generic code
/// of a `package` type, which is 20 times slower.
@safe
public struct FixedArray<Element: BitwiseCopyable>: ~Copyable {
    // Must be the first property: Swift 6.3.1 reports accesses of the memory that the first word points to
    // to the thread sanitizer.
    @usableFromInline
    let base: UnsafeMutablePointer<Element>
    /// The number of elements.
    public let count: Int

    /// Makes an array of `count` elements with the value `value`.
    public init(repeating value: Element, count: Int) {
        precondition(count > 0)
        unsafe base = UnsafeMutablePointer<Element>.allocate(capacity: count)
        unsafe base.initialize(repeating: value, count: count)
        self.count = count
    }

    /// Makes an array of `count` unspecified elements. Write each before you read it. Pages that are not
    /// written cost neither time nor memory.
    package init(unwritten count: Int) {
        precondition(count > 0)
        unsafe base = UnsafeMutablePointer<Element>.allocate(capacity: count)
        self.count = count
    }

    deinit {
        // The elements are trivial and need no deinitialization.
        unsafe base.deallocate()
    }

    /// The first `length` elements, for reading.
    @inlinable
    @_lifetime(borrow self)
    public func prefix(_ length: Int) -> Span<Element> {
        precondition(length >= 0 && length <= count)
        // Checked above.
        let span = unsafe Span(_unsafeStart: base, count: length)
        return unsafe _overrideLifetime(span, borrowing: self)
    }

    /// The first `length` elements, for reading and writing.
    @inlinable
    @_lifetime(&self)
    public mutating func mutablePrefix(_ length: Int) -> MutableSpan<Element> {
        precondition(length >= 0 && length <= count)
        // Checked above.
        let span = unsafe MutableSpan(_unsafeStart: base, count: length)
        return unsafe _overrideLifetime(span, mutating: &self)
    }

    /// The element at `index`, which must be less than `count`.
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

// This value owns the memory, and its elements are trivial.
extension FixedArray: @unchecked Sendable where Element: Sendable {}
