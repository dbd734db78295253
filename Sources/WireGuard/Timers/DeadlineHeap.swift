/// The deadlines of all peers: a binary heap with at most one entry for each peer slot. A new deadline
/// replaces the old one.
struct DeadlineHeap {
    private struct Entry {
        var deadline: Instant
        var slot: PeerSlot
    }

    private var entries: [Entry] = []
    /// The position in `entries` of each slot, −1 for none.
    private var positions: [Int32] = []

    /// The earliest deadline.
    var first: (deadline: Instant, slot: PeerSlot)? {
        entries.first.map { ($0.deadline, $0.slot) }
    }

    /// Sets, moves or (nil) removes the deadline of a peer.
    mutating func set(_ slot: PeerSlot, deadline: Instant?) {
        let index = Int(slot.rawValue)
        while positions.count <= index { positions.append(-1) }
        let position = Int(positions[index])
        switch (deadline, position) {
        case (nil, -1):
            return
        case (nil, _):
            remove(at: position)
        case (let deadline?, -1):
            entries.append(Entry(deadline: deadline, slot: slot))
            positions[index] = Int32(entries.count - 1)
            siftUp(entries.count - 1)
        case (let deadline?, _):
            let earlier = deadline < entries[position].deadline
            entries[position].deadline = deadline
            if earlier { siftUp(position) } else { siftDown(position) }
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
            guard entries[child].deadline < entries[parent].deadline else { return }
            swap(child, parent)
            child = parent
        }
    }

    private mutating func siftDown(_ start: Int) {
        var parent = start
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < entries.count {
                if entries[child].deadline < entries[least].deadline { least = child }
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
