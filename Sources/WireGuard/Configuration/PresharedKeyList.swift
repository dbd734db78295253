import WireGuardCrypto

/// A growing list of preshared keys, because an array cannot hold noncopyable values. Growing moves the
/// owners; the keys stay in their locked memory.
@safe
struct PresharedKeyList: ~Copyable, @unchecked Sendable {
    // Sendable: this value owns the memory, and shared borrows only read it.
    private var base: UnsafeMutablePointer<PresharedKey>
    private var capacity = 0
    private(set) var count = 0

    init() {
        unsafe base = UnsafeMutablePointer.allocate(capacity: 0)
    }

    deinit {
        // The first `count` are initialized.
        unsafe base.deinitialize(count: count)
        unsafe base.deallocate()
    }

    mutating func append(_ key: consuming PresharedKey) {
        if count == capacity { grow() }
        unsafe (base + count).initialize(to: key)
        count += 1
    }

    mutating func replace(at index: Int, with key: consuming PresharedKey) {
        precondition(0..<count ~= index)
        unsafe base[index] = key
    }

    func copy(at index: Int) -> PresharedKey {
        precondition(0..<count ~= index)
        return unsafe base[index].copy()
    }

    private mutating func grow() {
        let capacity = max(4, self.capacity * 2)
        let memory = UnsafeMutablePointer<PresharedKey>.allocate(capacity: capacity)
        // Moves all keys, so the old memory needs no deinitialization.
        unsafe memory.moveInitialize(from: base, count: count)
        unsafe base.deallocate()
        unsafe base = memory
        self.capacity = capacity
    }
}
