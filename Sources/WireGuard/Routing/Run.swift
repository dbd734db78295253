/// Consecutive elements of a ``BlockPool``.
struct Run: Equatable, BitwiseCopyable, Sendable {
    /// The index of the first element, or ``noIndex`` for an empty run.
    let index: UInt32
    /// The number of elements, at most ``maximumCount``.
    let count: Int

    init(index: UInt32, count: Int) {
        assert(0...Self.maximumCount ~= count, "a run has at most 64 elements")
        assert((count == 0) == (index == noIndex), "exactly the empty run has no index")
        self.index = index
        self.count = count
    }

    /// A run without elements.
    static var empty: Run { Run(index: noIndex, count: 0) }

    /// The index in the pool of the element at `offset`.
    subscript(offset: Int) -> UInt32 {
        assert(0..<count ~= offset, "outside of the run")
        return index &+ UInt32(truncatingIfNeeded: offset)
    }

    /// The most elements: one for each value of six bits.
    static let maximumCount = 64
}

/// The index of no element.
let noIndex = UInt32.max
