/// A binary heap with at most one key for each peer slot. A new key of a slot replaces the old one.
struct SlotHeap<Key: Comparable> {
    private struct Entry {
        var key: Key
        var slot: PeerSlot
    }

    private var entries: [Entry] = []
    /// The position in `entries` of each slot, −1 for none.
    private var positions: [Int32] = []

    /// The least key.
    var first: (key: Key, slot: PeerSlot)? {
        entries.first.map { ($0.key, $0.slot) }
    }

    /// The key of a peer, nil for none.
    func key(of slot: PeerSlot) -> Key? {
        let index = Int(slot.rawValue)
        guard index < positions.count, positions[index] >= 0 else { return nil }
        return entries[Int(positions[index])].key
    }

    /// Sets, moves or (nil) removes the key of a peer.
    mutating func set(_ slot: PeerSlot, key: Key?) {
        let index = Int(slot.rawValue)
        while positions.count <= index { positions.append(-1) }
        let position = Int(positions[index])
        switch (key, position) {
        case (nil, -1):
            return
        case (nil, _):
            remove(at: position)
        case (let key?, -1):
            entries.append(Entry(key: key, slot: slot))
            positions[index] = Int32(entries.count - 1)
            siftUp(entries.count - 1)
        case (let key?, _):
            let isLess = key < entries[position].key
            entries[position].key = key
            if isLess { siftUp(position) } else { siftDown(position) }
        }
    }

    private mutating func remove(at position: Int) {
        positions[Int(entries[position].slot.rawValue)] = -1
        let last = entries.removeLast()
        guard position < entries.count else { return }
        entries[position] = last
        positions[Int(last.slot.rawValue)] = Int32(position)
        siftUp(position)
        siftDown(Int(positions[Int(last.slot.rawValue)]))
    }

    private mutating func siftUp(_ start: Int) {
        var child = start
        while child > 0 {
            let parent = (child - 1) / 2
            guard entries[child].key < entries[parent].key else { return }
            swap(child, parent)
            child = parent
        }
    }

    private mutating func siftDown(_ start: Int) {
        var parent = start
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < entries.count {
                if entries[child].key < entries[least].key { least = child }
            }
            guard least != parent else { return }
            swap(parent, least)
            parent = least
        }
    }

    private mutating func swap(_ left: Int, _ right: Int) {
        entries.swapAt(left, right)
        positions[Int(entries[left].slot.rawValue)] = Int32(left)
        positions[Int(entries[right].slot.rawValue)] = Int32(right)
    }
}
