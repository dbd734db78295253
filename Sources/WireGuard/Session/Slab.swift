/// Storage whose values never move: keypairs and the shared parts of peers.
///
/// The packet path holds slot numbers instead of references, so it does no reference counting.
/// The control thread inserts and removes values under all gates (``ControlAccess/exclusively(_:)``);
/// a worker may borrow a value while it holds its gate. Memory is allocated in chunks of 64 values, and
/// reused, never freed.
@safe
struct Slab<Element: ~Copyable>: ~Copyable {
    private static var chunkLength: Int { 64 }
    private var chunks: [UnsafeMutablePointer<Element>] = unsafe []
    private var isOccupied: [Bool] = []
    private var free: [UInt32] = []
    /// The number of values.
    private(set) var count = 0
    /// The number of values that the allocated memory can hold.
    var capacity: Int { isOccupied.count }

    init() {}

    deinit {
        destroyAll()
    }

    /// Inserts a value and returns its slot.
    mutating func insert(_ element: consuming Element) -> UInt32 {
        if free.isEmpty { grow() }
        let slot = free.removeLast()
        // A slot in the free list is inside a chunk and holds no value.
        unsafe address(slot).initialize(to: element)
        isOccupied[Int(slot)] = true
        count += 1
        return slot
    }

    /// Destroys the value of a slot.
    mutating func remove(_ slot: UInt32) {
        precondition(isOccupied[Int(slot)])
        unsafe address(slot).deinitialize(count: 1)
        isOccupied[Int(slot)] = false
        free.append(slot)
        count -= 1
    }

    /// Destroys all values and frees their memory.
    mutating func removeAll() {
        destroyAll()
        unsafe chunks = []
        isOccupied = []
        free = []
        count = 0
    }

    /// Whether a slot holds a value.
    func contains(_ slot: UInt32) -> Bool {
        Int(slot) < isOccupied.count && isOccupied[Int(slot)]
    }

    /// The value of an occupied slot, in place.
    subscript(slot: UInt32) -> Element {
        @inline(__always)
        _read {
            precondition(isOccupied[Int(slot)])
            // An occupied slot holds a value, which only the control thread destroys.
            yield unsafe address(slot).pointee
        }
    }

    private borrowing func destroyAll() {
        for (index, occupied) in isOccupied.enumerated() where occupied {
            unsafe address(UInt32(index)).deinitialize(count: 1)
        }
        for index in unsafe chunks.indices { unsafe chunks[index].deallocate() }
    }

    @inline(__always)
    private func address(_ slot: UInt32) -> UnsafeMutablePointer<Element> {
        unsafe chunks[Int(slot) / Self.chunkLength] + Int(slot) % Self.chunkLength
    }

    private mutating func grow() {
        let start = unsafe UInt32(chunks.count * Self.chunkLength)
        let chunk = UnsafeMutablePointer<Element>.allocate(capacity: Self.chunkLength)
        unsafe chunks.append(chunk)
        isOccupied.append(contentsOf: repeatElement(false, count: Self.chunkLength))
        // Take the lowest slot first, so that slots stay dense.
        for offset in (0..<UInt32(Self.chunkLength)).reversed() { free.append(start + offset) }
    }
}
