/// Which keypair a receiver index means: an open-addressed table that every received message asks.
///
/// Indices are random, so they are their own hash. Removal closes the gap, so no tombstones pile up.
/// Written by the control thread while all gates are held, read under any one gate.
struct IndexTable {
    /// Slot of the keypair in the low word and index in the high one; `.max` marks a free cell (no
    /// slab is that large).
    private var cells: [UInt64]
    private(set) var count = 0
    /// Cells, of which at least half are free.
    var capacity: Int { cells.count }

    private static let free = UInt64.max

    init() {
        cells = Array(repeating: Self.free, count: 64)
    }

    /// The slot of the keypair with this index.
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

    /// Whether the next index makes it grow, which for many takes long; see ``grown()``.
    var isFull: Bool { (count + 1) * 2 > cells.count }

    /// Adds an index that is not in the table yet.
    mutating func insert(_ index: ReceiverIndex, keypair slot: UInt32) {
        if isFull { self = grown() }
        place(UInt64(index.rawValue) << 32 | UInt64(slot))
        count += 1
    }

    /// Removes an index, if it is there.
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
            // Moves back if its home does not lie after the hole, going round.
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

    /// The same of twice the size, to be put in its place.
    func grown() -> IndexTable {
        var table = self
        table.cells = Array(repeating: Self.free, count: cells.count * 2)
        for cell in cells where cell != Self.free { table.place(cell) }
        return table
    }
}
