/// Derives the ``Shortcuts`` from the nodes.
extension PrefixTrie.Nodes {
    /// The shortcuts of all prefixes.
    func makeShortcuts() -> Shortcuts {
        var shortcuts = Shortcuts()
        shortcuts.activate()
        addPrefixes(below: Self.root, to: &shortcuts)
        publish(below: Self.root, to: &shortcuts)
        return shortcuts
    }

    private func addPrefixes(below index: UInt32, to shortcuts: inout Shortcuts) {
        let node = self[index]
        forEachPrefix(of: node) { address, length, claim in
            let slots = PrefixTrie<Address>.slots(of: address, length: length)
            shortcuts.insert(owner: claim.owner, length: length, in: slots)
        }
        for offset in 0..<node.children.count {
            let child = node.children[offset]
            if self[child].depth < PrefixTrie<Address>.shortcutDepth {
                addPrefixes(below: child, to: &shortcuts)
            }
        }
    }

    /// Calls `body` with each prefix that ends in `node`.
    func forEachPrefix(
        of node: PrefixTrie<Address>.Node,
        _ body: (_ address: Address, _ length: Int, PrefixTrie<Address>.Claim) -> Void
    ) {
        var prefixes = node.prefixes
        while prefixes != 0 {
            let position = prefixes.trailingZeroBitCount
            prefixes &= prefixes - 1
            // The position of a prefix is 2^length − 1 + value.
            let length = Int.bitWidth - 1 - (position + 1).leadingZeroBitCount
            let value = Address(position + 1 - 1 << length)
            let end = node.depth + length - PrefixTrie<Address>.lead
            let address = node.address | value << Address(Address.bitWidth - end)
            body(address, end, claim(of: node, at: 1 << UInt64(position)))
        }
    }

    /// Sets the shortcuts to the children of a node, and of all nodes below it above the depth where
    /// shortcuts end.
    func publish(below index: UInt32, to shortcuts: inout Shortcuts) {
        guard shortcuts.areActive, self[index].depth < PrefixTrie<Address>.shortcutDepth else {
            return
        }
        publishChildren(of: index, to: &shortcuts)
        let children = self[index].children
        for offset in 0..<children.count { publish(below: children[offset], to: &shortcuts) }
    }

    /// Sets the shortcuts to the children of a node. Call it whenever they may have moved.
    func publishChildren(of index: UInt32, to shortcuts: inout Shortcuts) {
        guard shortcuts.areActive else { return }
        let node = self[index]
        guard node.depth < PrefixTrie<Address>.shortcutDepth else { return }
        for offset in 0..<node.children.count {
            publish(node.children[offset], to: &shortcuts)
        }
    }

    /// Sets the shortcut to a node, if one leads there.
    func publish(_ index: UInt32, to shortcuts: inout Shortcuts) {
        let node = self[index]
        guard node.depth >= PrefixTrie<Address>.shortcutDepth else { return }
        shortcuts.setNode(index, at: PrefixTrie<Address>.slot(of: node.address))
    }
}

extension PrefixTrie {
    /// After the removal of a prefix, the next shorter prefix that covers it takes its shortcuts.
    mutating func exposeShorterPrefix(of address: Address, length: Int) {
        guard length < Shortcuts.bitCount else { return }
        let slots = Self.slots(of: address, length: length)
        for shorter in stride(from: length - 1, through: 0, by: -1) {
            let covering = address & ~(Address.max >> Address(shorter))
            if let claim = claim(on: covering, length: shorter) {
                shortcuts.replace(
                    ofLength: length, in: slots, with: claim.owner, length: shorter)
                return
            }
        }
        shortcuts.remove(ofLength: length, in: slots)
    }

    /// The slot of an address.
    @inline(__always)
    static func slot(of address: Address) -> Int {
        Int(truncatingIfNeeded: address &>> Address(truncatingIfNeeded: Address.bitWidth &- 16))
    }

    /// The slots of all addresses of a prefix.
    static func slots(of address: Address, length: Int) -> Range<Int> {
        let first = slot(of: address)
        return first..<(first + 1 << max(Shortcuts.bitCount - length, 0))
    }
}
