/// The prefixes of one address family, for longest-prefix matching: a multibit trie with path
/// compression.
///
/// Each node decides on six bits of the address, its *chunk*, which starts at the depth of the node, a
/// multiple of six. Two bitmaps describe the node: the prefixes that end within the chunk (63 are
/// possible) and the branches to deeper nodes (64 are possible). The claims and the children that the
/// bits stand for are two runs; the number of lower bits that are set is the offset in the run
/// (Eatherton, Varghese, Dittia: "Tree Bitmap", 2004).
///
///     depth 0            ┌ 0.0.0.0/0                     bit 0
///     root ──────────────┼ 0.0.0.0/1, 128.0.0.0/1        bits 1, 2
///       │                └ 0.0.0.0/3 …                   bits 7 … 14
///       │ chunk 000000 (0.0.0.0/4): its only node is much deeper
///       └▶ depth 24, 10.0.0.0/22
///            ├ 10.0.0.0/22, 10.0.2.0/23, 10.0.0.0/24 …
///            └▶ depth 30, 10.0.0.16/28
///                 └ 10.0.0.16/28, 10.0.0.17/32 …
///
/// The depth of an IPv4 node counts two zero bits in front of the address, so that a node starts at
/// bit 16, where the ``Shortcuts`` lead. Each prefix is stored once; removing it exposes the shorter
/// one that covers it. A node other than the root has a prefix or two branches, so there are at most
/// twice as many nodes as prefixes. A look-up visits at most 6 nodes for IPv4 and 22 for IPv6.
struct PrefixTrie<Address: FixedWidthInteger & UnsignedInteger & BitwiseCopyable & Sendable>:
    ~Copyable, Sendable
{
    private(set) var nodes: Nodes
    // Not private: PrefixTrie+Shortcuts.swift changes it too.
    var shortcuts: Shortcuts
    /// For each chunk the bits of the six prefixes that contain it. An `InlineArray` would be copied as
    /// a whole for each element that is read (seen in the code of Swift 6.3.1).
    private var covering = BlockPool<UInt64>()
    /// The number of prefixes.
    private(set) var count: Int

    private init(nodes: consuming Nodes, shortcuts: consuming Shortcuts, count: Int) {
        self.nodes = nodes
        self.shortcuts = shortcuts
        self.count = count
        covering.fill(count: 64, with: 0)
        for chunk in 0..<64 {
            covering[UInt32(chunk)] = (0..<6).reduce(0) {
                $0 | 1 << UInt64(Self.position(length: $1, chunk: chunk))
            }
        }
    }

    /// A trie without prefixes.
    init() {
        self.init(nodes: Nodes(), shortcuts: Shortcuts(), count: 0)
    }

    /// The slot that owns the longest prefix that contains `address`, or ``noOwner``.
    @inline(__always)
    func lookup(_ address: Address) -> UInt32 {
        var owner = noOwner
        var node: Node
        if shortcuts.areActive {
            let shortcut = shortcuts[Self.slot(of: address)]
            owner = shortcut.owner
            guard shortcut.node != noIndex else { return owner }
            node = nodes[shortcut.node]
            guard Self.agree(address, node.address, upTo: node.depth) else { return owner }
        } else {
            node = nodes[Nodes.root]
        }
        var bestHits: UInt64 = 0
        var best = node
        while true {
            let chunk = Self.chunk(of: address, at: node.depth)
            let hits = node.prefixes & covering[UInt32(truncatingIfNeeded: chunk)]
            if hits != 0 { (best, bestHits) = (node, hits) }
            let branch = 1 &<< UInt64(truncatingIfNeeded: chunk)
            guard node.branches & branch != 0 else { break }
            node = nodes[node.child(at: branch)]
            guard Self.agree(address, node.address, upTo: node.depth) else { break }
        }
        guard bestHits != 0 else { return owner }
        guard !best.prefixes.isSingleBit else { return best.singleOwner }
        // The longest prefix has the highest bit.
        let longest = 1 &<< UInt64(truncatingIfNeeded: 63 &- bestHits.leadingZeroBitCount)
        return nodes.claim(at: best.claim(at: longest)).owner
    }

    /// The claim on exactly this prefix, nil if there is none.
    func claim(on address: Address, length: Int) -> Claim? {
        guard let index = find(address, length: length) else { return nil }
        return nodes.claim(of: nodes[index], at: Self.bit(of: address, length: length))
    }

    /// The index of the node that holds a prefix, nil if there is none.
    private func find(_ address: Address, length: Int) -> UInt32? {
        let home = Self.home(of: length)
        var index = Nodes.root
        while nodes[index].depth < home {
            let chunk = Self.chunk(of: address, at: nodes[index].depth)
            guard let child = nodes.child(of: index, chunk: chunk) else { return nil }
            index = child
        }
        let node = nodes[index]
        guard node.depth == home, node.prefixes & Self.bit(of: address, length: length) != 0,
            home == 0 || Self.agree(address, node.address, upTo: home)
        else { return nil }
        return index
    }

    // MARK: Changes

    /// Replaces the claim on a prefix, if there is one.
    mutating func replaceClaim(on address: Address, length: Int, with claim: Claim) {
        guard let index = find(address, length: length) else { return }
        let bit = Self.bit(of: address, length: length)
        _ = nodes.removeClaim(from: index, at: bit)
        nodes.insertClaim(claim, into: index, at: bit)
        let slots = Self.slots(of: address, length: length)
        shortcuts.replace(owner: claim.owner, ofLength: length, in: slots)
    }

    /// Inserts a prefix that is not in the trie. The bits of `address` from `length` on are zero.
    mutating func insert(_ address: Address, length: Int, claim: Claim) {
        if nodes.wantsCompaction { self = compacted(withRoomFor: 0) }
        let home = Self.home(of: length)
        var index = Nodes.root
        while nodes[index].depth < home {
            let chunk = Self.chunk(of: address, at: nodes[index].depth)
            guard let child = nodes.child(of: index, chunk: chunk) else {
                let node = Node(toward: address, at: home)
                let parent = index
                index = nodes.insertChild(node, into: parent, chunk: chunk)
                nodes.publishChildren(of: parent, to: &shortcuts)
                break
            }
            let childDepth = nodes[child].depth
            let common = (address ^ nodes[child].address).leadingZeroBitCount + Self.lead
            let meeting = min(common / 6 * 6, home, childDepth)
            if meeting < childDepth {
                nodes.split(child, at: meeting)
                nodes.publishChildren(of: child, to: &shortcuts)
            }
            index = child
        }
        nodes.insertClaim(claim, into: index, at: Self.bit(of: address, length: length))
        count += 1
        if shortcuts.areActive {
            let slots = Self.slots(of: address, length: length)
            shortcuts.insert(owner: claim.owner, length: length, in: slots)
        } else if Address.bitWidth == 32, count >= Shortcuts.leastCount {
            shortcuts = nodes.makeShortcuts()
        }
    }

    /// Removes a prefix and returns the claim on it, nil if there is none.
    mutating func remove(_ address: Address, length: Int) -> Claim? {
        let home = Self.home(of: length)
        var parent = Nodes.root
        var index = Nodes.root
        while nodes[index].depth < home {
            parent = index
            let chunk = Self.chunk(of: address, at: nodes[index].depth)
            guard let child = nodes.child(of: index, chunk: chunk), nodes[child].depth <= home,
                Self.agree(address, nodes[child].address, upTo: nodes[child].depth)
            else { return nil }
            index = child
        }
        let bit = Self.bit(of: address, length: length)
        guard let claim = nodes.removeClaim(from: index, at: bit) else { return nil }
        count -= 1
        if index != Nodes.root, nodes[index].isEmpty {
            removeChild(of: parent, towards: address)
            index = parent
        }
        merge(index)
        if shortcuts.areActive {
            exposeShorterPrefix(of: address, length: length)
            if count < Shortcuts.leastCount / 4 { shortcuts.deactivate() }
        }
        return claim
    }

    private mutating func removeChild(of index: UInt32, towards address: Address) {
        let node = nodes[index]
        let chunk = Self.chunk(of: address, at: node.depth)
        if node.depth < Self.shortcutDepth, let child = nodes.child(of: index, chunk: chunk),
            nodes[child].depth >= Self.shortcutDepth
        {
            shortcuts.setNode(noIndex, at: Self.slot(of: nodes[child].address))
        }
        nodes.removeChild(of: index, chunk: chunk)
        nodes.publishChildren(of: index, to: &shortcuts)
    }

    private mutating func merge(_ index: UInt32) {
        let depth = nodes[index].depth
        guard nodes.mergeIfPointless(index), depth < Self.shortcutDepth else { return }
        nodes.publish(index, to: &shortcuts)
    }

    // MARK: Memory

    /// The size of the memory in bytes.
    var byteCount: Int { nodes.byteCount + shortcuts.byteCount + covering.byteCount }

    /// The allocated nodes and claims, with run sizes rounded up: one, the root, in an empty trie.
    var elementsInUse: Int { nodes.elementsInUse }

    /// The most elements that one more prefix may allocate in a pool: it may move a run of 63 to one of
    /// 64, and split a node.
    private static var elementsPerPrefix: Int { 66 }

    /// Whether `count` more prefixes may make a pool grow.
    func lacksRoom(for count: Int) -> Bool {
        nodes.lacksRoom(for: count * Self.elementsPerPrefix)
    }

    /// Makes the memory for `count` more prefixes, for ``adopt(_:)``.
    func makeRoom(for count: Int) -> Room {
        let elements = count * Self.elementsPerPrefix
        return if nodes.shouldCompact(for: elements) {
            Room(trie: compacted(withRoomFor: elements), growth: Nodes.Growth())
        } else {
            Room(trie: nil, growth: nodes.grown(toHaveRoomFor: elements))
        }
    }

    /// Memory for more prefixes; after ``adopt(_:)`` the memory that it replaced.
    struct Room: ~Copyable {
        fileprivate var trie: PrefixTrie?
        fileprivate var growth: Nodes.Growth
    }

    /// Swaps in the memory of ``makeRoom(for:)``. The trie must not have changed since.
    mutating func adopt(_ room: inout Room) {
        if var trie = room.trie.take() {
            swap(&self, &trie)
            room.trie = consume trie
        }
        nodes.adopt(&room.growth)
    }

    /// A copy without free runs, and with room for more elements in each pool. It pays off when a fifth
    /// of a pool is free, hence after a number of changes proportional to its size.
    private func compacted(withRoomFor elements: Int) -> PrefixTrie {
        var trie = PrefixTrie(
            nodes: nodes.compacted(withRoomFor: elements), shortcuts: shortcuts.copy(),
            count: count)
        trie.nodes.publish(below: Nodes.root, to: &trie.shortcuts)
        return trie
    }
}

/// No owner: peer slots are less than this.
let noOwner: UInt32 = 0xFF_FFFF
