/// The result of a look-up for the first 16 bits of an IPv4 address: the owner of the longest prefix
/// of up to 15 bits, and the node where the look-up continues.
///
/// In a large table this skips the upper half of the ``PrefixTrie``. It is a cache of half a MiB,
/// derived from the trie and present only while the table has thousands of prefixes.
struct Shortcuts: ~Copyable, Sendable {
    private var table = BlockPool<Shortcut>()
    /// Whether the cache is present.
    private(set) var areActive = false

    struct Shortcut: BitwiseCopyable, Equatable {
        /// The first node at depth 18 or deeper, or ``noIndex``.
        var node = noIndex
        /// The owner in the upper 24 bits; the length of its prefix plus one in the lower 8.
        fileprivate var ownerAndLength = noOwner << 8

        /// The owner, or ``noOwner``.
        @inline(__always)
        var owner: UInt32 { ownerAndLength >> 8 }
    }

    /// The shortcut of the addresses whose first 16 bits are `slot`.
    @inline(__always)
    subscript(slot: Int) -> Shortcut { table[UInt32(truncatingIfNeeded: slot)] }

    /// Allocates shortcuts without owners and nodes.
    mutating func activate() {
        table = BlockPool()
        table.fill(count: 1 << Self.bitCount, with: Shortcut())
        areActive = true
    }

    /// A copy with its own memory.
    func copy() -> Shortcuts {
        var copy = Shortcuts()
        copy.table = table.copy()
        copy.areActive = areActive
        return copy
    }

    /// Frees the memory.
    mutating func deactivate() {
        table = BlockPool()
        areActive = false
    }

    /// Sets the node where the look-up continues.
    mutating func setNode(_ node: UInt32, at slot: Int) {
        guard areActive else { return }
        table[UInt32(slot)].node = node
    }

    /// Adds a prefix.
    mutating func insert(owner: UInt32, length: Int, in slots: Range<Int>) {
        guard areActive, length < Self.bitCount else { return }
        for slot in slots where table[UInt32(slot)].ownerAndLength & 0xFF <= length {
            table[UInt32(slot)].ownerAndLength = owner << 8 | UInt32(length + 1)
        }
    }

    /// Changes the owner of a prefix.
    mutating func replace(owner: UInt32, ofLength length: Int, in slots: Range<Int>) {
        replace(ofLength: length, in: slots, with: owner, length: length)
    }

    /// Replaces a prefix by another.
    mutating func replace(
        ofLength length: Int, in slots: Range<Int>, with owner: UInt32, length other: Int
    ) {
        set(ofLength: length, in: slots, owner << 8 | UInt32(other + 1))
    }

    /// Removes a prefix that no shorter one covers.
    mutating func remove(ofLength length: Int, in slots: Range<Int>) {
        set(ofLength: length, in: slots, noOwner << 8)
    }

    private mutating func set(ofLength length: Int, in slots: Range<Int>, _ value: UInt32) {
        guard areActive, length < Self.bitCount else { return }
        for slot in slots where table[UInt32(slot)].ownerAndLength & 0xFF == length + 1 {
            table[UInt32(slot)].ownerAndLength = value
        }
    }

    /// The size of the memory in bytes.
    var byteCount: Int { table.byteCount }

    /// The number of address bits that select a shortcut.
    static let bitCount = 16
    /// Shortcuts are activated at this number of prefixes and deactivated below a quarter of it.
    static let leastCount = 4096
}
