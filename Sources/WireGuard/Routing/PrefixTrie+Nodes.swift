extension PrefixTrie {
    /// What a prefix maps to.
    struct Claim: BitwiseCopyable, Equatable, Sendable {
        /// The peer slot that owns the prefix, less than ``noOwner``.
        var owner: UInt32
        /// The entry of the prefix in the list of its owner.
        var entry: UInt32
    }

    // Not private: a private type here breaks the debug code of other files (Swift 6.3.1).
    struct Node: BitwiseCopyable {
        /// The prefixes that end in this node: bit 2^length − 1 + value, with up to five bits of length.
        private(set) var prefixes: UInt64 = 0
        /// The chunks that lead to a child.
        private(set) var branches: UInt64 = 0
        /// The address bits that lead here; zero from `depth` on.
        let address: Address
        /// The index of the children, one for each bit of `branches`.
        private var firstChild = noIndex
        /// The index of the claims, one for each bit of `prefixes`; the entry of a single claim.
        private var firstClaim = noIndex
        /// The owner of a single claim in the upper 24 bits, the depth in the lower 8.
        private var ownerAndDepth: UInt32

        /// A node without prefixes or branches on the way to `address`.
        init(toward address: Address, at depth: Int) {
            let length = Swift.max(depth - PrefixTrie.lead, 0)
            self.address = address & ~(Address.max >> Address(length))
            ownerAndDepth = UInt32(depth)
        }

        @inline(__always)
        var depth: Int { Int(ownerAndDepth & 0xFF) }

        // MARK: Children

        var children: Run { Run(index: firstChild, count: branches.nonzeroBitCount) }

        /// The index of the child at a bit of `branches`.
        @inline(__always)
        func child(at branch: UInt64) -> UInt32 {
            firstChild &+ PrefixTrie.rank(of: branch, in: branches)
        }

        mutating func setChildren(_ run: Run, branches: UInt64) {
            assert(run.count == branches.nonzeroBitCount, "one child per branch")
            self.branches = branches
            firstChild = run.index
        }

        // MARK: Claims

        /// The claims; empty for a single one, which is in the node.
        var claims: Run {
            let count = prefixes.nonzeroBitCount
            return count > 1 ? Run(index: firstClaim, count: count) : .empty
        }

        /// The claim of a node with one prefix.
        var singleClaim: Claim { Claim(owner: singleOwner, entry: firstClaim) }

        /// The owner in ``singleClaim``.
        @inline(__always)
        var singleOwner: UInt32 { ownerAndDepth >> 8 }

        /// The index of the claim at a bit of `prefixes`, which can have several bits set.
        @inline(__always)
        func claim(at prefix: UInt64) -> UInt32 {
            firstClaim &+ PrefixTrie.rank(of: prefix, in: prefixes)
        }

        mutating func setClaims(_ run: Run, prefixes: UInt64) {
            assert(run.count == prefixes.nonzeroBitCount && run.count != 1, "one claim per prefix")
            self.prefixes = prefixes
            firstClaim = run.index
        }

        mutating func setSingleClaim(_ claim: Claim, prefix: UInt64) {
            assert(prefix.isSingleBit && claim.owner < noOwner)
            prefixes = prefix
            firstClaim = claim.entry
            ownerAndDepth = claim.owner << 8 | ownerAndDepth & 0xFF
        }
    }

    /// The memory of a trie: its nodes, with the root at index 0, and their claims.
    ///
    /// Only the methods here change runs, so that a node and its runs always change together.
    struct Nodes: ~Copyable, Sendable {
        private var nodes: BlockPool<Node>
        private var claims: BlockPool<Claim>

        /// The index of the root.
        static var root: UInt32 { 0 }

        /// A root without prefixes, and room for more elements in each pool.
        init(root: Node = Node(toward: 0, at: 0), nodes: Int = 0, claims: Int = 0) {
            self.nodes = BlockPool(capacity: nodes)
            self.claims = BlockPool(capacity: claims)
            let run = self.nodes.allocate(1)
            assert(run.index == Self.root)
            self.nodes[run.index] = root
        }

        subscript(index: UInt32) -> Node {
            @inline(__always)
            get { nodes[index] }
        }

        /// The claim at an index that ``Node/claim(at:)`` returned.
        @inline(__always)
        func claim(at index: UInt32) -> Claim { claims[index] }

        /// The claim of `node` at a bit of its prefixes.
        func claim(of node: Node, at prefix: UInt64) -> Claim {
            node.prefixes.isSingleBit ? node.singleClaim : claims[node.claim(at: prefix)]
        }

        /// The index of the child of a node for `chunk`, nil if there is none.
        func child(of index: UInt32, chunk: Int) -> UInt32? {
            let branch: UInt64 = 1 << UInt64(chunk)
            let node = nodes[index]
            return node.branches & branch != 0 ? node.child(at: branch) : nil
        }

        // MARK: Changes

        /// Inserts a child for a chunk that has none. Its siblings may move.
        ///
        /// - Returns: the index of the child.
        mutating func insertChild(_ child: Node, into index: UInt32, chunk: Int) -> UInt32 {
            let node = nodes[index]
            let branch: UInt64 = 1 << UInt64(chunk)
            assert(node.branches & branch == 0, "there is a child already")
            let rank = Int(PrefixTrie.rank(of: branch, in: node.branches))
            let children = nodes.insert(child, at: rank, into: node.children)
            nodes[index].setChildren(children, branches: node.branches | branch)
            return children[rank]
        }

        /// Removes the child for a chunk, which must have neither children nor claims. Its siblings may
        /// move.
        mutating func removeChild(of index: UInt32, chunk: Int) {
            let node = nodes[index]
            let branch: UInt64 = 1 << UInt64(chunk)
            assert(node.branches & branch != 0, "there is no child")
            assert(self[node.child(at: branch)].isEmpty)
            let rank = Int(PrefixTrie.rank(of: branch, in: node.branches))
            let children = nodes.remove(at: rank, from: node.children)
            nodes[index].setChildren(children, branches: node.branches & ~branch)
        }

        /// Inserts a node at a smaller depth in place of a node, which becomes its only child.
        mutating func split(_ index: UInt32, at depth: Int) {
            let below = nodes[index]
            assert(depth < below.depth)
            nodes[index] = Node(toward: below.address, at: depth)
            let chunk = PrefixTrie.chunk(of: below.address, at: depth)
            _ = insertChild(below, into: index, chunk: chunk)
        }

        /// Replaces a node by its only child, if it has no prefixes.
        ///
        /// - Returns: whether it did.
        mutating func mergeIfPointless(_ index: UInt32) -> Bool {
            let node = nodes[index]
            guard index != Self.root, node.prefixes == 0, node.branches.isSingleBit else {
                return false
            }
            nodes[index] = nodes[node.children[0]]
            nodes.release(node.children)
            return true
        }

        /// Adds a claim for a prefix that has none.
        mutating func insertClaim(_ claim: Claim, into index: UInt32, at prefix: UInt64) {
            let node = nodes[index]
            assert(node.prefixes & prefix == 0, "there is a claim already")
            guard node.prefixes != 0 else {
                nodes[index].setSingleClaim(claim, prefix: prefix)
                return
            }
            var run = node.claims
            if node.prefixes.isSingleBit {
                run = claims.insert(node.singleClaim, at: 0, into: .empty)
            }
            let rank = Int(PrefixTrie.rank(of: prefix, in: node.prefixes))
            run = claims.insert(claim, at: rank, into: run)
            nodes[index].setClaims(run, prefixes: node.prefixes | prefix)
        }

        /// Removes the claim for a prefix and returns it, nil if there is none.
        mutating func removeClaim(from index: UInt32, at prefix: UInt64) -> Claim? {
            let node = nodes[index]
            guard node.prefixes & prefix != 0 else { return nil }
            let claim = claim(of: node, at: prefix)
            guard !node.prefixes.isSingleBit else {
                nodes[index].setClaims(.empty, prefixes: 0)
                return claim
            }
            let rank = Int(PrefixTrie.rank(of: prefix, in: node.prefixes))
            let rest = node.prefixes & ~prefix
            let run = claims.remove(at: rank, from: node.claims)
            if rest.isSingleBit {
                let single = claims[run.index]
                claims.release(run)
                nodes[index].setSingleClaim(single, prefix: rest)
            } else {
                nodes[index].setClaims(run, prefixes: rest)
            }
            return claim
        }

        // MARK: Memory

        /// Whether a pool is about to grow although a fifth of it is free.
        var wantsCompaction: Bool { nodes.wantsCompaction || claims.wantsCompaction }

        /// The size of the memory in bytes.
        var byteCount: Int { nodes.byteCount + claims.byteCount }

        /// The allocated elements of both pools, with run sizes rounded up.
        var elementsInUse: Int { nodes.elementsInUse + claims.elementsInUse }

        /// Whether a pool may have to grow for `count` more elements.
        func lacksRoom(for count: Int) -> Bool {
            nodes.lacksRoom(for: count) || claims.lacksRoom(for: count)
        }

        /// Whether a pool lacks room for `count` more elements although it has free runs.
        func shouldCompact(for count: Int) -> Bool {
            (nodes.isLoose && nodes.lacksRoom(for: count))
                || (claims.isLoose && claims.lacksRoom(for: count))
        }

        /// A copy without free runs, and with room for `count` more elements in each pool.
        func compacted(withRoomFor count: Int) -> Nodes {
            var copy = Nodes(
                root: nodes[Self.root], nodes: nodes.elementsInUse / 16 * 17 + count,
                claims: claims.elementsInUse / 16 * 17 + count)
            copyRuns(of: Self.root, to: &copy)
            return copy
        }

        /// Copies the runs of a node that was copied itself.
        private func copyRuns(of index: UInt32, to copy: inout Nodes) {
            let node = copy.nodes[index]
            if !node.claims.isEmpty {
                let run = copy.claims.allocate(node.claims.count)
                for offset in 0..<run.count {
                    copy.claims[run[offset]] = claims[node.claims[offset]]
                }
                copy.nodes[index].setClaims(run, prefixes: node.prefixes)
            }
            guard !node.children.isEmpty else { return }
            let run = copy.nodes.allocate(node.children.count)
            for offset in 0..<run.count {
                copy.nodes[run[offset]] = nodes[node.children[offset]]
            }
            copy.nodes[index].setChildren(run, branches: node.branches)
            for offset in 0..<run.count { copyRuns(of: run[offset], to: &copy) }
        }

        /// Copies the pools that lack room for `count` more elements to larger ones.
        func grown(toHaveRoomFor count: Int) -> Growth {
            var growth = Growth()
            if nodes.lacksRoom(for: count) { growth.nodes = nodes.grown(toHaveRoomFor: count) }
            if claims.lacksRoom(for: count) { growth.claims = claims.grown(toHaveRoomFor: count) }
            return growth
        }

        /// Larger pools; after ``adopt(_:)`` the ones that they replaced.
        struct Growth: ~Copyable {
            fileprivate var nodes: BlockPool<Node>?
            fileprivate var claims: BlockPool<Claim>?
        }

        /// Swaps in the pools of ``grown(toHaveRoomFor:)``. Nothing may have changed since.
        mutating func adopt(_ growth: inout Growth) {
            if var nodes = growth.nodes.take() {
                swap(&self.nodes, &nodes)
                growth.nodes = consume nodes
            }
            if var claims = growth.claims.take() {
                swap(&self.claims, &claims)
                growth.claims = consume claims
            }
        }
    }
}

extension PrefixTrie.Node {
    /// Whether the node has neither prefixes nor children.
    var isEmpty: Bool { prefixes == 0 && branches == 0 }
}

extension Run {
    /// Whether the run has no elements.
    var isEmpty: Bool { count == 0 }
}
