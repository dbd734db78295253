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
///       │                └ … all of length 5             bits 31 … 62
///       │ chunk 000010 (8.0.0.0/6): nothing below but one node, so it is far down
///       └▶ depth 24, 10.0.0.0
///            ├ 10.0.0.0/24, 10.0.0.128/25 …
///            └▶ depth 30, 10.0.0.4
///                 └ 10.0.0.5/32
///
/// No prefix is stored twice, so whatever takes one out exposes the shorter one that covers it. A
/// node other than the root has a prefix or two branches: there are never more nodes than twice the
/// prefixes, and a look-up passes 6 of them for IPv4 or 22 for IPv6 at the most.
struct PrefixTrie<Address: FixedWidthInteger & UnsignedInteger & BitwiseCopyable & Sendable>:
    ~Copyable, Sendable
{
    private var nodes = BlockPool<Node>()
    private var claims = BlockPool<Claim>()
    /// For each chunk the bits of the six prefixes that it lies in.
    private let covering: InlineArray<64, UInt64>

    /// What a prefix stands for.
    struct Claim: BitwiseCopyable, Sendable {
        /// The peer slot that owns the prefix.
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
        /// The run of claims, one for each bit of `prefixes`.
        var claims = noIndex
        var depth: UInt8

        /// A node without prefixes and branches on the way to `address`.
        init(toward address: Address, at depth: UInt8) {
            self.address = address & ~(Address.max >> Address(depth))
            self.depth = depth
        }
    }

    init() {
        covering = InlineArray { chunk in
            (0..<6).reduce(0) { $0 | 1 << UInt64(Self.position(length: $1, chunk: chunk)) }
        }
        let root = nodes.allocate(1)
        nodes[root] = Node(toward: 0, at: 0)
    }

    /// The slot that owns the longest prefix in which `address` lies, or ``noIndex``.
    @inline(__always)
    func lookup(_ address: Address) -> UInt32 {
        var best = noIndex
        var bestPrefixes: UInt64 = 0
        var bestHits: UInt64 = 0
        var node = nodes[0]
        while true {
            let chunk = Self.chunk(of: address, at: node.depth)
            let hits = node.prefixes & covering[chunk]
            if hits != 0 { (best, bestPrefixes, bestHits) = (node.claims, node.prefixes, hits) }
            let branch = 1 &<< UInt64(truncatingIfNeeded: chunk)
            guard node.branches & branch != 0 else { break }
            node = nodes[node.children &+ Self.rank(of: branch, in: node.branches)]
            guard Self.agree(address, node.address, upTo: node.depth) else { break }
        }
        guard bestHits != 0 else { return noIndex }
        // The longest of the prefixes has the highest bit.
        let longest = 1 &<< UInt64(truncatingIfNeeded: 63 &- bestHits.leadingZeroBitCount)
        return claims[best &+ Self.rank(of: longest, in: bestPrefixes)].owner
    }

    /// The claim on exactly this prefix.
    func claim(on address: Address, length: Int) -> Claim? {
        guard let place = find(address, length: length) else { return nil }
        return claims[place]
    }

    /// Changes the claim on a prefix that is there.
    mutating func replaceClaim(on address: Address, length: Int, with claim: Claim) {
        guard let place = find(address, length: length) else { return }
        claims[place] = claim
    }

    /// Adds a prefix that is not there yet. The bits of `address` from `length` on are zero.
    mutating func insert(_ address: Address, length: Int, claim: Claim) {
        let home = Self.home(of: length)
        var index: UInt32 = 0
        while nodes[index].depth < home {
            let chunk = Self.chunk(of: address, at: nodes[index].depth)
            guard let child = child(of: index, chunk: chunk) else {
                index = addBranch(to: index, chunk: chunk, Node(toward: address, at: home))
                break
            }
            let childDepth = nodes[child].depth
            let common = (address ^ nodes[child].address).leadingZeroBitCount
            let meeting = min(UInt8(common / 6 * 6), home, childDepth)
            if meeting < childDepth { split(child, at: meeting) }
            index = child
        }
        addClaim(claim, to: index, at: Self.position(of: address, length: length))
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
        if index != 0, nodes[index].prefixes == 0, nodes[index].branches == 0 {
            dropBranch(of: parent, chunk: Self.chunk(of: address, at: nodes[parent].depth))
            index = parent
        }
        mergeIfPointless(index)
        return claim
    }

    /// The bytes of memory that the trie holds.
    var byteCount: Int { nodes.byteCount + claims.byteCount }

    /// The nodes and claims in use, with what rounding adds: one, the root, in an empty trie.
    var elementsInUse: Int { nodes.elementsInUse + claims.elementsInUse }
}

extension PrefixTrie {
    /// The place of the claim on a prefix.
    private func find(_ address: Address, length: Int) -> UInt32? {
        let home = Self.home(of: length)
        var index: UInt32 = 0
        while nodes[index].depth < home {
            let chunk = Self.chunk(of: address, at: nodes[index].depth)
            guard let child = child(of: index, chunk: chunk) else { return nil }
            index = child
        }
        let node = nodes[index]
        let bit = 1 &<< Self.position(of: address, length: length)
        guard node.depth == home, node.prefixes & bit != 0,
            home == 0 || Self.agree(address, node.address, upTo: home)
        else { return nil }
        return node.claims &+ Self.rank(of: bit, in: node.prefixes)
    }

    private func child(of index: UInt32, chunk: Int) -> UInt32? {
        let branch: UInt64 = 1 << UInt64(chunk)
        let node = nodes[index]
        guard node.branches & branch != 0 else { return nil }
        return node.children &+ Self.rank(of: branch, in: node.branches)
    }

    /// Adds a branch that is not there; the answer is the place of the new node.
    private mutating func addBranch(to index: UInt32, chunk: Int, _ child: Node) -> UInt32 {
        let node = nodes[index]
        let branch: UInt64 = 1 << UInt64(chunk)
        let rank = Self.rank(of: branch, in: node.branches)
        let children = nodes.insert(
            child, at: Int(rank), into: node.children, count: node.branches.nonzeroBitCount)
        nodes[index].children = children
        nodes[index].branches |= branch
        return children + rank
    }

    private mutating func dropBranch(of index: UInt32, chunk: Int) {
        let node = nodes[index]
        let branch: UInt64 = 1 << UInt64(chunk)
        nodes[index].children = nodes.remove(
            at: Int(Self.rank(of: branch, in: node.branches)), from: node.children,
            count: node.branches.nonzeroBitCount)
        nodes[index].branches &= ~branch
    }

    /// Puts a new node at a lesser depth in the place of a node, which becomes its only branch.
    private mutating func split(_ index: UInt32, at depth: UInt8) {
        let below = nodes[index]
        nodes[index] = Node(toward: below.address, at: depth)
        _ = addBranch(to: index, chunk: Self.chunk(of: below.address, at: depth), below)
    }

    /// Puts the only branch of a node that has no prefix in its place.
    private mutating func mergeIfPointless(_ index: UInt32) {
        let node = nodes[index]
        guard index != 0, node.prefixes == 0, node.branches.nonzeroBitCount == 1 else { return }
        nodes[index] = nodes[node.children]
        nodes.release(node.children, count: 1)
    }

    private mutating func addClaim(_ claim: Claim, to index: UInt32, at position: UInt64) {
        let node = nodes[index]
        let bit: UInt64 = 1 << position
        nodes[index].claims = claims.insert(
            claim, at: Int(Self.rank(of: bit, in: node.prefixes)), into: node.claims,
            count: node.prefixes.nonzeroBitCount)
        nodes[index].prefixes |= bit
    }

    private mutating func takeClaim(from index: UInt32, at position: UInt64) -> Claim? {
        let node = nodes[index]
        let bit: UInt64 = 1 << position
        guard node.prefixes & bit != 0 else { return nil }
        let rank = Self.rank(of: bit, in: node.prefixes)
        let claim = claims[node.claims + rank]
        nodes[index].claims = claims.remove(
            at: Int(rank), from: node.claims, count: node.prefixes.nonzeroBitCount)
        nodes[index].prefixes &= ~bit
        return claim
    }
}

extension PrefixTrie {
    /// The depth of the node in which a prefix of `length` bits ends.
    private static func home(of length: Int) -> UInt8 {
        precondition(0...Address.bitWidth ~= length)
        return UInt8(length / 6 * 6)
    }

    /// The six bits of `address` from `depth` on; zeros follow its end.
    @inline(__always)
    private static func chunk(of address: Address, at depth: UInt8) -> Int {
        Int(
            truncatingIfNeeded: (address &<< Address(truncatingIfNeeded: depth))
                &>> Address(truncatingIfNeeded: Address.bitWidth &- 6))
    }

    /// Whether the first `depth` bits of both are the same; `depth` is not zero.
    @inline(__always)
    private static func agree(_ left: Address, _ right: Address, upTo depth: UInt8) -> Bool {
        (left ^ right) &>> Address(truncatingIfNeeded: Address.bitWidth &- Int(depth)) == 0
    }

    /// The number of the bits of `bitmap` below `bit`.
    @inline(__always)
    private static func rank(of bit: UInt64, in bitmap: UInt64) -> UInt32 {
        UInt32(truncatingIfNeeded: (bitmap & (bit &- 1)).nonzeroBitCount)
    }

    /// The bit of the prefix, within the node where it ends.
    private static func position(of address: Address, length: Int) -> UInt64 {
        let home = home(of: length)
        return UInt64(
            position(length: length - Int(home), chunk: chunk(of: address, at: home)))
    }

    /// The bit of the prefix that the first `length` bits of `chunk` are, with `length` below six.
    private static func position(length: Int, chunk: Int) -> Int {
        1 << length - 1 + chunk >> (6 - length)
    }
}
