/// How the shortcuts follow what they are a copy of.
extension PrefixTrie {
    /// Makes shortcuts of all that is there.
    mutating func makeShortcuts() {
        shortcuts.make()
        fillShortcuts(below: 0)
    }

    mutating func fillShortcuts(below index: UInt32) {
        let node = nodes[index]
        var prefixes = node.prefixes
        while prefixes != 0 {
            let position = UInt64(prefixes.trailingZeroBitCount)
            prefixes &= prefixes - 1
            // The position of a prefix is 2^length − 1 + value.
            let length = Int.bitWidth - 1 - (Int(position) + 1).leadingZeroBitCount
            let value = Address(position) + 1 - 1 << Address(length)
            let shift = Address.bitWidth + Self.lead - node.depth - length
            shortcuts.insert(
                owner: claim(of: node, at: position).owner,
                length: node.depth + length - Self.lead,
                in: Self.slots(
                    of: node.address | value << Address(shift),
                    length: node.depth + length - Self.lead))
        }
        publishChildren(of: index)
        for rank in 0..<UInt32(node.branches.nonzeroBitCount)
        where nodes[node.children + rank].depth < Self.shortcutDepth {
            fillShortcuts(below: node.children + rank)
        }
    }

    /// Tells the shortcuts where the nodes below a node are.
    mutating func publish(below index: UInt32) {
        guard shortcuts.areActive, nodes[index].depth < Self.shortcutDepth else { return }
        publishChildren(of: index)
        let node = nodes[index]
        for rank in 0..<UInt32(node.branches.nonzeroBitCount) {
            publish(below: node.children + rank)
        }
    }

    /// Tells the shortcuts where the branches of a node are that they lead to.
    mutating func publishChildren(of index: UInt32) {
        guard shortcuts.areActive else { return }
        let node = nodes[index]
        guard node.depth < Self.shortcutDepth else { return }
        for rank in 0..<UInt32(node.branches.nonzeroBitCount) {
            let child = nodes[node.children + rank]
            if child.depth >= Self.shortcutDepth {
                shortcuts.setNode(node.children + rank, at: Self.slot(of: child.address))
            }
        }
    }

    /// Puts the next shorter prefix in the place of one that was taken out.
    mutating func exposeBelow(_ address: Address, length: Int) {
        guard length < Shortcuts.bitCount else { return }
        for shorter in stride(from: length - 1, through: 0, by: -1) {
            let covering = address & ~(Address.max >> Address(shorter))
            if let claim = claim(on: covering, length: shorter) {
                shortcuts.replace(
                    ofLength: length, in: Self.slots(of: address, length: length),
                    with: claim.owner, length: shorter)
                return
            }
        }
        shortcuts.remove(ofLength: length, in: Self.slots(of: address, length: length))
    }

    /// The place of an address among the shortcuts.
    @inline(__always)
    static func slot(of address: Address) -> Int {
        Int(truncatingIfNeeded: address &>> Address(truncatingIfNeeded: Address.bitWidth &- 16))
    }

    /// The places of the addresses of a prefix.
    static func slots(of address: Address, length: Int) -> Range<Int> {
        let first = slot(of: address)
        return first..<(first + 1 << max(Shortcuts.bitCount - length, 0))
    }
}
