/// Maps a receiver index to its keypair: an open-addressing hash table, read for every received message.
///
/// Indices are random, so they are their own hash. Removal moves later entries back, so there are no
/// tombstones. The control thread writes it under all gates; workers read it under their own gate.
struct IndexTable {
    /// The keypair's slot in the low half, the index in the high half. `.max` is a free cell; no slab
    /// has such a slot.
    private var cells: [UInt64]
    private(set) var count = 0
    /// The number of cells. At least half of them are free.
    var capacity: Int { cells.count }

    private static let free = UInt64.max

    init() {
        cells = Array(repeating: Self.free, count: 64)
    }

    /// The slot of the keypair with this index, nil for none.
    @inline(__always)
    func lookup(_ index: ReceiverIndex) -> UInt32? {
        let mask = cells.count &- 1
        var position = Int(index.rawValue) & mask
        while true {
            let cell = cells[position]
            if cell == Self.free { return nil }
            if UInt32(truncatingIfNeeded: cell >> 32) == index.rawValue {
                return UInt32(truncatingIfNeeded: cell)
            }
            position = (position &+ 1) & mask
        }
    }

    /// Whether the next insertion grows the table, which is slow for many entries; see ``grown()``.
    var isFull: Bool { (count + 1) * 2 > cells.count }

    /// Inserts an index.
    ///
    /// - Precondition: the index is not in the table.
    mutating func insert(_ index: ReceiverIndex, keypair slot: UInt32) {
        if isFull { self = grown() }
        place(UInt64(index.rawValue) << 32 | UInt64(slot))
        count += 1
    }

    /// Removes an index; does nothing if it is not in the table.
    mutating func remove(_ index: ReceiverIndex) {
        let mask = cells.count - 1
        var hole = Int(index.rawValue) & mask
        while cells[hole] != Self.free, UInt32(cells[hole] >> 32) != index.rawValue {
            hole = (hole + 1) & mask
        }
        guard cells[hole] != Self.free else { return }
        cells[hole] = Self.free
        count -= 1
        var position = (hole + 1) & mask
        while cells[position] != Self.free {
            let home = Int(cells[position] >> 32) & mask
            // Move the entry back unless its home is between the hole and its position.
            if (position - home) & mask >= (position - hole) & mask {
                cells[hole] = cells[position]
                cells[position] = Self.free
                hole = position
            }
            position = (position + 1) & mask
        }
    }

    private mutating func place(_ cell: UInt64) {
        let mask = cells.count - 1
        var position = Int(cell >> 32) & mask
        while cells[position] != Self.free { position = (position + 1) & mask }
        cells[position] = cell
    }

    /// A copy with twice the capacity.
    func grown() -> IndexTable {
        var table = self
        table.cells = Array(repeating: Self.free, count: cells.count * 2)
        for cell in cells where cell != Self.free { table.place(cell) }
        return table
    }
}
