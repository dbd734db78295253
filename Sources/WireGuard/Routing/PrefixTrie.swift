/// The prefixes of one address family, for the longest match: a multibit trie that skips bits which
/// do not matter.
///
/// Each node decides on six bits of the address, its *chunk*, from its depth on (a multiple of six).
/// It holds the prefixes that end within these bits, 63 possible ones, and the branches to deeper
/// nodes, 64 possible ones, as two bitmaps (Eatherton, Varghese, Dittia: "Tree Bitmap", 2004); what
/// a bit stands for lies in a run of which the bits below it are the index.
///
///     depth 0            ┌ 0.0.0.0/0                     bit 0
///     root ──────────────┼ 0.0.0.0/1, 128.0.0.0/1        bits 1, 2
///       │                └ 0.0.0.0/3 …                   bits 7 … 14
///       │ chunk 000000 (0.0.0.0/4): one node below it, and that is far down
///       └▶ depth 24, 10.0.0.0/22
///            ├ 10.0.0.0/22, 10.0.2.0/23, 10.0.0.0/24 …
///            └▶ depth 30, 10.0.0.16/28
///                 └ 10.0.0.16/28, 10.0.0.17/32 …
///
/// Depths count from two zero bits in front of an IPv4 address on, so that a node begins at its bit
/// 16, where the ``Shortcuts`` lead. No prefix is stored twice, so whatever takes one out exposes the
/// shorter one that covers it. A node other than the root has a prefix or two branches: there are
/// never more nodes than twice the prefixes, and a look-up passes 6 of them for IPv4 or 22 for IPv6
/// at the most.
struct PrefixTrie<Address: FixedWidthInteger & UnsignedInteger & BitwiseCopyable & Sendable>:
    ~Copyable, Sendable
{
    var nodes: BlockPool<Node>
    var claims: BlockPool<Claim>
    var shortcuts: Shortcuts
    /// For each chunk the bits of the six prefixes that it lies in. An `InlineArray` would be copied
    /// whole for each element that is read (seen in the code of Swift 6.3.1).
    private var covering = BlockPool<UInt64>()
    private(set) var count: Int

    /// What a prefix stands for.
    struct Claim: BitwiseCopyable, Sendable {
        /// The peer slot that owns the prefix, below ``noOwner``.
        var owner: UInt32
        /// Where the prefix itself is kept.
        var entry: UInt32
    }

    // Not private: a private type here breaks the debug code of other files (Swift 6.3.1).
    struct Node: BitwiseCopyable {
        /// The prefixes that end here: bit 2^length − 1 + value, with up to five bits of length.
        var prefixes: UInt64 = 0
        /// The chunks that lead on to a deeper node.
        var branches: UInt64 = 0
        /// The bits that lead here; zero from `depth` on.
        var address: Address
        /// The run of nodes, one for each bit of `branches`.
        var children = noIndex
        /// The run of claims, one for each bit of `prefixes`; of a single claim only its entry.
        var claims = noIndex
        /// The owner of a single claim and the depth, 24 and 8 bits.
        private var ownerAndDepth: UInt32

        /// A node without prefixes and branches on the way to `address`.
        init(toward address: Address, at depth: Int) {
            let length = Swift.max(depth - PrefixTrie.lead, 0)
            self.address = address & ~(Address.max >> Address(length))
            ownerAndDepth = UInt32(depth)
        }

        @inline(__always)
        var depth: Int { Int(ownerAndDepth & 0xFF) }

        @inline(__always)
        var singleOwner: UInt32 {
            get { ownerAndDepth >> 8 }
            set { ownerAndDepth = newValue << 8 | ownerAndDepth & 0xFF }
        }
    }

    /// A trie of these parts, which the caller fills.
    init(
        nodes: consuming BlockPool<Node>, claims: consuming BlockPool<Claim>,
        shortcuts: consuming Shortcuts, count: Int
    ) {
        self.nodes = nodes
        self.claims = claims
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
        self.init(nodes: BlockPool(), claims: BlockPool(), shortcuts: Shortcuts(), count: 0)
        let root = nodes.allocate(1)
        nodes[root] = Node(toward: 0, at: 0)
    }

    /// The slot that owns the longest prefix in which `address` lies, or ``noOwner``.
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
            node = nodes[0]
        }
        var bestHits: UInt64 = 0
        var best = node
        while true {
            let chunk = Self.chunk(of: address, at: node.depth)
            let hits = node.prefixes & covering[UInt32(truncatingIfNeeded: chunk)]
            if hits != 0 { (best, bestHits) = (node, hits) }
            let branch = 1 &<< UInt64(truncatingIfNeeded: chunk)
            guard node.branches & branch != 0 else { break }
            node = nodes[node.children &+ Self.rank(of: branch, in: node.branches)]
            guard Self.agree(address, node.address, upTo: node.depth) else { break }
        }
        guard bestHits != 0 else { return owner }
        guard !best.prefixes.isSingleBit else { return best.singleOwner }
        // The longest of the prefixes has the highest bit.
        let longest = 1 &<< UInt64(truncatingIfNeeded: 63 &- bestHits.leadingZeroBitCount)
        return claims[best.claims &+ Self.rank(of: longest, in: best.prefixes)].owner
    }

    /// The claim on exactly this prefix.
    func claim(on address: Address, length: Int) -> Claim? {
        guard let index = find(address, length: length) else { return nil }
        return claim(of: nodes[index], at: Self.position(of: address, length: length))
    }

    /// Changes the claim on a prefix that is there.
    mutating func replaceClaim(on address: Address, length: Int, with claim: Claim) {
        guard let index = find(address, length: length) else { return }
        let position = Self.position(of: address, length: length)
        _ = takeClaim(from: index, at: position)
        addClaim(claim, to: index, at: position)
        let slots = Self.slots(of: address, length: length)
        shortcuts.replace(owner: claim.owner, ofLength: length, in: slots)
    }

    /// Adds a prefix that is not there yet. The bits of `address` from `length` on are zero.
    mutating func insert(_ address: Address, length: Int, claim: Claim) {
        if nodes.wantsCompaction || claims.wantsCompaction { compact() }
        let home = Self.home(of: length)
        var index: UInt32 = 0
        while nodes[index].depth < home {
            let node = nodes[index]
            let chunk = Self.chunk(of: address, at: node.depth)
            guard let child = child(of: index, chunk: chunk) else {
                index = addBranch(to: index, chunk: chunk, Node(toward: address, at: home))
                break
            }
            let childDepth = nodes[child].depth
            let common = (address ^ nodes[child].address).leadingZeroBitCount + Self.lead
            let meeting = min(common / 6 * 6, home, childDepth)
            if meeting < childDepth { split(child, at: meeting) }
            index = child
        }
        addClaim(claim, to: index, at: Self.position(of: address, length: length))
        count += 1
        if shortcuts.areActive {
            let slots = Self.slots(of: address, length: length)
            shortcuts.insert(owner: claim.owner, length: length, in: slots)
        } else if Address.bitWidth == 32, count >= Shortcuts.leastCount {
            makeShortcuts()
        }
    }

    /// Takes out a prefix; the answer is the claim on it, if it was there.
    mutating func remove(_ address: Address, length: Int) -> Claim? {
        let home = Self.home(of: length)
        var parent: UInt32 = 0
        var index: UInt32 = 0
        while nodes[index].depth < home {
            parent = index
            let chunk = Self.chunk(of: address, at: nodes[index].depth)
            guard let child = child(of: index, chunk: chunk), nodes[child].depth <= home,
                Self.agree(address, nodes[child].address, upTo: nodes[child].depth)
            else { return nil }
            index = child
        }
        let position = Self.position(of: address, length: length)
        guard let claim = takeClaim(from: index, at: position) else { return nil }
        count -= 1
        if index != 0, nodes[index].prefixes == 0, nodes[index].branches == 0 {
            dropBranch(of: parent, chunk: Self.chunk(of: address, at: nodes[parent].depth))
            index = parent
        }
        mergeIfPointless(index)
        if shortcuts.areActive {
            exposeBelow(address, length: length)
            if count < Shortcuts.leastCount / 4 { shortcuts.drop() }
        }
        return claim
    }

    /// The bytes of memory that the trie holds.
    var byteCount: Int {
        nodes.byteCount + claims.byteCount + shortcuts.byteCount + covering.byteCount
    }

    /// The nodes and claims in use, with what rounding adds: one, the root, in an empty trie.
    var elementsInUse: Int { nodes.elementsInUse + claims.elementsInUse }
}

/// No owner: slots of peers are below.
let noOwner: UInt32 = 0xFF_FFFF
