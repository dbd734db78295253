/// A memory pool that allocates runs of 1 to 64 elements and addresses them by index.
///
/// The memory grows by an eighth. Growing moves all elements but keeps their indices. A released run
/// goes to the free list of its size and is only reused at that size; when too much memory is free in
/// the wrong sizes, copy the runs in use to a new pool (``wantsCompaction``).
///
/// Debug builds record every allocated run and assert that callers pass exactly these.
@safe
struct BlockPool<Element: BitwiseCopyable>: ~Copyable, @unchecked Sendable {
    // Sendable: this value owns the memory, and shared borrows only read it.
    private var base: UnsafeMutablePointer<Element>
    private var capacity = 0
    /// Elements from this index on have never been allocated.
    private var used = 0
    /// The first free run of each size class. The first four bytes of a free run are the index of the
    /// next one.
    private var free = InlineArray<20, UInt32>(repeating: noIndex)
    /// The allocated elements, with run sizes rounded up.
    private(set) var elementsInUse = 0
    #if DEBUG
        /// The count of each allocated run, by index.
        private var allocated: [UInt32: Int] = [:]
    #endif

    init(capacity: Int = 0) {
        precondition(MemoryLayout<Element>.size >= MemoryLayout<UInt32>.size)
        unsafe base = UnsafeMutablePointer.allocate(capacity: capacity)
        self.capacity = capacity
    }

    deinit {
        unsafe base.deallocate()
    }

    /// The size of the memory in bytes.
    var byteCount: Int { capacity * MemoryLayout<Element>.stride }

    /// Whether the pool is about to grow although a fifth of it is free.
    var wantsCompaction: Bool {
        capacity - used < 64 && isLoose
    }

    subscript(index: UInt32) -> Element {
        @inline(__always)
        get {
            precondition(Int(index) < used)
            // Less than `used`, so it is in the memory, and its owner has initialized it.
            return unsafe base[Int(index)]
        }
        @inline(__always)
        _modify {
            precondition(Int(index) < used)
            // As above.
            yield unsafe &base[Int(index)]
        }
    }

    // MARK: Runs

    /// Allocates a run of `count` elements, 1 to 64, which the caller must initialize.
    mutating func allocate(_ count: Int) -> Run {
        let sizeClass = Self.sizeClass(of: count)
        let size = Self.size(of: sizeClass)
        elementsInUse += size
        var index = free[sizeClass]
        if index != noIndex {
            free[sizeClass] = unsafe UnsafeRawPointer(base + Int(index)).load(as: UInt32.self)
        } else {
            if used + size > capacity { grow(to: used + size) }
            index = UInt32(used)
            used += size
        }
        let run = Run(index: index, count: count)
        record(run)
        return run
    }

    /// Releases a run.
    mutating func release(_ run: Run) {
        forget(run)
        let sizeClass = Self.sizeClass(of: run.count)
        let size = Self.size(of: sizeClass)
        precondition(Int(run.index) + size <= used)
        elementsInUse -= size
        // In the memory, as just checked, and aligned for an element of at least four bytes.
        unsafe UnsafeMutableRawPointer(base + Int(run.index))
            .storeBytes(of: free[sizeClass], as: UInt32.self)
        free[sizeClass] = run.index
    }

    /// Inserts `element` at `offset` into a run, which may be empty.
    ///
    /// - Returns: the longer run, which replaces `run`.
    mutating func insert(_ element: Element, at offset: Int, into run: Run) -> Run {
        precondition(0...run.count ~= offset)
        guard run.count > 0 else {
            let single = allocate(1)
            self[single.index] = element
            return single
        }
        var longer = Run(index: run.index, count: run.count + 1)
        let mustMove = Self.sizeClass(of: run.count) != Self.sizeClass(of: longer.count)
        if mustMove {
            longer = allocate(longer.count)
            move(from: run.index, to: longer.index, count: offset)
        }
        move(
            from: run.index + UInt32(offset), to: longer.index + UInt32(offset + 1),
            count: run.count - offset)
        self[longer[offset]] = element
        if mustMove { release(run) } else { replace(run, by: longer) }
        return longer
    }

    /// Removes the element at `offset` from a run.
    ///
    /// - Returns: the shorter run, which replaces `run` and may be empty.
    mutating func remove(at offset: Int, from run: Run) -> Run {
        precondition(0..<run.count ~= offset)
        guard run.count > 1 else {
            release(run)
            return .empty
        }
        var shorter = Run(index: run.index, count: run.count - 1)
        let mustMove = Self.sizeClass(of: run.count) != Self.sizeClass(of: shorter.count)
        if mustMove {
            shorter = allocate(shorter.count)
            move(from: run.index, to: shorter.index, count: offset)
        }
        move(
            from: run.index + UInt32(offset + 1), to: shorter.index + UInt32(offset),
            count: shorter.count - offset)
        if mustMove { release(run) } else { replace(run, by: shorter) }
        return shorter
    }

    /// Allocates `count` elements, each of them `element`, as indices 0 and up of an empty pool. They
    /// are never released.
    mutating func fill(count: Int, with element: Element) {
        precondition(used == 0)
        grow(to: count)
        used = count
        for index in 0..<count { self[UInt32(index)] = element }
    }

    private mutating func move(from source: UInt32, to target: UInt32, count: Int) {
        guard count > 0 else { return }
        precondition(Int(source) + count <= used && Int(target) + count <= used)
        // Both ends were checked; the ranges may overlap.
        unsafe (base + Int(target)).update(from: base + Int(source), count: count)
    }

    // MARK: Memory

    /// Whether the pool may have to grow to allocate `count` more elements.
    func lacksRoom(for count: Int) -> Bool { capacity - used < count }

    /// Whether more than a fifth of a pool of some size is free.
    var isLoose: Bool { used > 1024 && elementsInUse < used / 5 * 4 }

    /// A copy that has grown to have room for `count` more elements.
    func grown(toHaveRoomFor count: Int) -> BlockPool {
        copy(capacity: max(used + count, capacity + capacity / 8 + 4))
    }

    /// A copy with its own memory.
    func copy() -> BlockPool { copy(capacity: capacity) }

    private func copy(capacity: Int) -> BlockPool {
        precondition(capacity >= used && capacity < Int(noIndex))
        var copy = BlockPool(capacity: capacity)
        // The first `used` elements are initialized, and there is room for them.
        unsafe copy.base.initialize(from: base, count: used)
        copy.used = used
        copy.free = free
        copy.elementsInUse = elementsInUse
        #if DEBUG
            copy.allocated = allocated
        #endif
        return copy
    }

    private mutating func grow(to needed: Int) {
        self = grown(toHaveRoomFor: needed - used)
    }

    // MARK: Size classes

    /// The number of elements that a run of `count` takes up.
    static func roundedUp(_ count: Int) -> Int { size(of: sizeClass(of: count)) }

    // Sizes 1 to 8, then four per octave: 10, 12, 14, 16, 20, …, 56, 64. At most a fifth of a run is
    // unused.
    private static func sizeClass(of count: Int) -> Int {
        precondition(1...Run.maximumCount ~= count)
        let last = count - 1
        guard last >= 4 else { return last }
        let exponent = Int.bitWidth - 1 - last.leadingZeroBitCount
        return exponent * 4 + (last >> (exponent - 2) & 3) - 4
    }

    private static func size(of sizeClass: Int) -> Int {
        guard sizeClass >= 4 else { return sizeClass + 1 }
        return (5 + sizeClass % 4) << (sizeClass / 4 - 1)
    }

    // MARK: Debug checks

    private mutating func record(_ run: Run) {
        #if DEBUG
            let previous = allocated.updateValue(run.count, forKey: run.index)
            assert(previous == nil, "two runs overlap")
        #endif
    }

    private mutating func forget(_ run: Run) {
        #if DEBUG
            let count = allocated.removeValue(forKey: run.index)
            assert(count == run.count, "no such run is allocated")
        #endif
    }

    private mutating func replace(_ run: Run, by other: Run) {
        forget(run)
        record(other)
    }
}
