/// Runs of 1 to 64 elements in one piece of memory, named by the index of their first element.
///
/// The memory grows by an eighth, so a run may move as a whole, but its index stays. Freed runs are
/// kept in one list per size, and given out again at that size. What was freed and is of no size
/// that is wanted is got back by copying what is in use to a new pool: ``wantsCompaction``.
@safe
struct BlockPool<Element: BitwiseCopyable>: ~Copyable, @unchecked Sendable {
    // Sendable: the memory is this value's alone; shared borrows only read.
    private var base: UnsafeMutablePointer<Element>
    private var capacity = 0
    /// Elements from here on have never been given out.
    private var used = 0
    /// The first free run of each size; the first four bytes of a free run name the next one.
    private var free = InlineArray<20, UInt32>(repeating: noIndex)
    /// The elements given out, sizes rounded up.
    private(set) var elementsInUse = 0

    init(capacity: Int = 0) {
        precondition(MemoryLayout<Element>.size >= MemoryLayout<UInt32>.size)
        unsafe base = UnsafeMutablePointer.allocate(capacity: capacity)
        self.capacity = capacity
    }

    deinit {
        unsafe base.deallocate()
    }

    /// The bytes of memory that the pool holds.
    var byteCount: Int { capacity * MemoryLayout<Element>.stride }

    /// Whether the pool is about to grow although a fifth of it is free.
    var wantsCompaction: Bool {
        capacity - used < 64 && isLoose
    }

    subscript(index: UInt32) -> Element {
        @inline(__always)
        get {
            precondition(Int(index) < used)
            // Below `used`, hence in the memory and written by whoever asked for the run.
            return unsafe base[Int(index)]
        }
        @inline(__always)
        _modify {
            precondition(Int(index) < used)
            // As above.
            yield unsafe &base[Int(index)]
        }
    }

    /// A run of `count` elements, 1 to 64, which the caller fills.
    mutating func allocate(_ count: Int) -> UInt32 {
        let sizeClass = Self.sizeClass(of: count)
        let size = Self.size(of: sizeClass)
        elementsInUse += size
        let first = free[sizeClass]
        if first != noIndex {
            free[sizeClass] = unsafe UnsafeRawPointer(base + Int(first)).load(as: UInt32.self)
            return first
        }
        if used + size > capacity { grow(to: used + size) }
        let index = UInt32(used)
        used += size
        return index
    }

    /// Whether less than `count` elements were never given out.
    func lacksRoom(for count: Int) -> Bool { capacity - used < count }

    /// Whether a fifth of what was given out is free again.
    var isLoose: Bool { used > 1024 && elementsInUse < used / 5 * 4 }

    /// A pool of the same content that has grown to have room for so many elements more.
    func grown(toHaveRoomFor count: Int) -> BlockPool {
        copy(capacity: max(used + count, capacity + capacity / 8 + 4))
    }

    /// The same in memory of its own.
    func copy() -> BlockPool { copy(capacity: capacity) }

    private func copy(capacity: Int) -> BlockPool {
        precondition(capacity >= used && capacity < Int(noIndex))
        var copy = BlockPool(capacity: capacity)
        // The first `used` elements are initialized, and there is room for them.
        unsafe copy.base.initialize(from: base, count: used)
        copy.used = used
        copy.free = free
        copy.elementsInUse = elementsInUse
        return copy
    }

    /// Gives out `count` elements as one run, which is never taken back.
    mutating func fill(count: Int, with element: Element) {
        precondition(used == 0)
        grow(to: count)
        used = count
        for index in 0..<count { self[UInt32(index)] = element }
    }

    /// Takes back a run of `count` elements.
    mutating func release(_ index: UInt32, count: Int) {
        let sizeClass = Self.sizeClass(of: count)
        let size = Self.size(of: sizeClass)
        precondition(Int(index) + size <= used)
        elementsInUse -= size
        // In the memory, as just checked, and aligned for an element of at least four bytes.
        unsafe UnsafeMutableRawPointer(base + Int(index))
            .storeBytes(of: free[sizeClass], as: UInt32.self)
        free[sizeClass] = index
    }

    /// Puts `element` at `offset` into a run of `count` elements; the answer is the longer run.
    mutating func insert(
        _ element: Element, at offset: Int, into index: UInt32, count: Int
    ) -> UInt32 {
        guard count > 0 else {
            let index = allocate(1)
            self[index] = element
            return index
        }
        var target = index
        if Self.sizeClass(of: count) != Self.sizeClass(of: count + 1) {
            target = allocate(count + 1)
            move(from: index, to: target, count: offset)
        }
        move(from: index + UInt32(offset), to: target + UInt32(offset + 1), count: count - offset)
        self[target + UInt32(offset)] = element
        if target != index { release(index, count: count) }
        return target
    }

    /// Takes the element at `offset` out of a run of `count` elements; the answer is the shorter
    /// run, which is nowhere if it is empty.
    mutating func remove(at offset: Int, from index: UInt32, count: Int) -> UInt32 {
        guard count > 1 else {
            release(index, count: count)
            return noIndex
        }
        var target = index
        if Self.sizeClass(of: count) != Self.sizeClass(of: count - 1) {
            target = allocate(count - 1)
            move(from: index, to: target, count: offset)
        }
        move(
            from: index + UInt32(offset + 1), to: target + UInt32(offset),
            count: count - offset - 1)
        if target != index { release(index, count: count) }
        return target
    }

    private mutating func move(from source: UInt32, to target: UInt32, count: Int) {
        guard count > 0 else { return }
        precondition(Int(source) + count <= used && Int(target) + count <= used)
        // Both ends were checked; the ranges may overlap.
        unsafe (base + Int(target)).update(from: base + Int(source), count: count)
    }

    private mutating func grow(to needed: Int) {
        self = grown(toHaveRoomFor: needed - used)
    }

    // Sizes 1 … 8, then four to the octave, 10, 12, 14, 16, 20, …, 56, 64: at most a fifth of a run
    // is unused.
    private static func sizeClass(of count: Int) -> Int {
        precondition(1...64 ~= count)
        let last = count - 1
        guard last >= 4 else { return last }
        let exponent = Int.bitWidth - 1 - last.leadingZeroBitCount
        return exponent * 4 + (last >> (exponent - 2) & 3) - 4
    }

    private static func size(of sizeClass: Int) -> Int {
        guard sizeClass >= 4 else { return sizeClass + 1 }
        return (5 + sizeClass % 4) << (sizeClass / 4 - 1)
    }
}

/// No element of any pool.
let noIndex = UInt32.max
