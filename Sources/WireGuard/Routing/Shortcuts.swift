/// What the first 16 bits of an IPv4 address decide: the owner of the longest prefix of up to 15
/// bits, and where the ``PrefixTrie`` goes on.
///
/// It spares a look-up in a large table the upper half of the trie, and is no more than a copy of
/// that: half a MiB, made when a table has some thousand prefixes.
struct Shortcuts: ~Copyable, Sendable {
    private var table = BlockPool<Shortcut>()
    /// Whether there are any.
    private(set) var areActive = false

    struct Shortcut: BitwiseCopyable {
        /// The first node from depth 18 on, or ``noIndex``.
        var node = noIndex
        /// The owner and one more than the length of its prefix, 24 and 8 bits.
        fileprivate var ownerAndLength = noOwner << 8

        /// The owner, or ``noOwner``.
        @inline(__always)
        var owner: UInt32 { ownerAndLength >> 8 }
    }

    @inline(__always)
    subscript(slot: Int) -> Shortcut { table[UInt32(truncatingIfNeeded: slot)] }

    /// Makes shortcuts that lead nowhere.
    mutating func make() {
        table = BlockPool()
        table.fill(count: 1 << Self.bitCount, with: Shortcut())
        areActive = true
    }

    /// The same in memory of its own.
    func copy() -> Shortcuts {
        var copy = Shortcuts()
        copy.table = table.copy()
        copy.areActive = areActive
        return copy
    }

    /// Frees the memory.
    mutating func drop() {
        table = BlockPool()
        areActive = false
    }

    /// Names the node that a shortcut leads to.
    mutating func setNode(_ node: UInt32, at slot: Int) {
        guard areActive else { return }
        table[UInt32(slot)].node = node
    }

    /// Notes a new prefix.
    mutating func insert(owner: UInt32, length: Int, in slots: Range<Int>) {
        guard areActive, length < Self.bitCount else { return }
        for slot in slots where table[UInt32(slot)].ownerAndLength & 0xFF <= length {
            table[UInt32(slot)].ownerAndLength = owner << 8 | UInt32(length + 1)
        }
    }

    /// Gives a prefix to another owner.
    mutating func replace(owner: UInt32, ofLength length: Int, in slots: Range<Int>) {
        replace(ofLength: length, in: slots, with: owner, length: length)
    }

    /// Puts another prefix in the place of one.
    mutating func replace(
        ofLength length: Int, in slots: Range<Int>, with owner: UInt32, length other: Int
    ) {
        set(ofLength: length, in: slots, owner << 8 | UInt32(other + 1))
    }

    /// Puts no prefix in the place of one.
    mutating func remove(ofLength length: Int, in slots: Range<Int>) {
        set(ofLength: length, in: slots, noOwner << 8)
    }

    private mutating func set(ofLength length: Int, in slots: Range<Int>, _ value: UInt32) {
        guard areActive, length < Self.bitCount else { return }
        for slot in slots where table[UInt32(slot)].ownerAndLength & 0xFF == length + 1 {
            table[UInt32(slot)].ownerAndLength = value
        }
    }

    /// The bytes of memory.
    var byteCount: Int { table.byteCount }

    /// The bits that decide.
    static let bitCount = 16
    /// The number of prefixes from which on shortcuts are made; below a quarter they are dropped.
    static let leastCount = 4096
}
