/// How nodes and claims come, move and go.
extension PrefixTrie {
    /// The node that holds a prefix.
    func find(_ address: Address, length: Int) -> UInt32? {
        let home = Self.home(of: length)
        var index: UInt32 = 0
        while nodes[index].depth < home {
            let chunk = Self.chunk(of: address, at: nodes[index].depth)
            guard let child = child(of: index, chunk: chunk) else { return nil }
            index = child
        }
        let node = nodes[index]
        let bit: UInt64 = 1 << Self.position(of: address, length: length)
        guard node.depth == home, node.prefixes & bit != 0,
            home == 0 || Self.agree(address, node.address, upTo: home)
        else { return nil }
        return index
    }

    func child(of index: UInt32, chunk: Int) -> UInt32? {
        let branch: UInt64 = 1 << UInt64(chunk)
        let node = nodes[index]
        guard node.branches & branch != 0 else { return nil }
        return node.children &+ Self.rank(of: branch, in: node.branches)
    }

    /// Adds a branch that is not there; the answer is the place of the new node.
    mutating func addBranch(to index: UInt32, chunk: Int, _ child: Node) -> UInt32 {
        let node = nodes[index]
        let branch: UInt64 = 1 << UInt64(chunk)
        let rank = Self.rank(of: branch, in: node.branches)
        let children = nodes.insert(
            child, at: Int(rank), into: node.children, count: node.branches.nonzeroBitCount)
        nodes[index].children = children
        nodes[index].branches |= branch
        publishChildren(of: index)
        return children + rank
    }

    mutating func dropBranch(of index: UInt32, chunk: Int) {
        let node = nodes[index]
        let branch: UInt64 = 1 << UInt64(chunk)
        let rank = Self.rank(of: branch, in: node.branches)
        let dropped = nodes[node.children + rank]
        if node.depth < Self.shortcutDepth, dropped.depth >= Self.shortcutDepth {
            shortcuts.setNode(noIndex, at: Self.slot(of: dropped.address))
        }
        nodes[index].children = nodes.remove(
            at: Int(rank), from: node.children, count: node.branches.nonzeroBitCount)
        nodes[index].branches &= ~branch
        publishChildren(of: index)
    }

    /// Puts a new node at a lesser depth in the place of a node, which becomes its only branch.
    mutating func split(_ index: UInt32, at depth: Int) {
        let below = nodes[index]
        nodes[index] = Node(toward: below.address, at: depth)
        _ = addBranch(to: index, chunk: Self.chunk(of: below.address, at: depth), below)
    }

    /// Puts the only branch of a node that has no prefix in its place.
    mutating func mergeIfPointless(_ index: UInt32) {
        let node = nodes[index]
        guard index != 0, node.prefixes == 0, node.branches.isSingleBit else { return }
        let below = nodes[node.children]
        nodes[index] = below
        nodes.release(node.children, count: 1)
        if node.depth < Self.shortcutDepth, below.depth >= Self.shortcutDepth {
            shortcuts.setNode(index, at: Self.slot(of: below.address))
        }
    }

    func claim(of node: Node, at position: UInt64) -> Claim {
        guard !node.prefixes.isSingleBit else {
            return Claim(owner: node.singleOwner, entry: node.claims)
        }
        return claims[node.claims + Self.rank(of: 1 << position, in: node.prefixes)]
    }

    mutating func addClaim(_ claim: Claim, to index: UInt32, at position: UInt64) {
        var node = nodes[index]
        let bit: UInt64 = 1 << position
        if node.prefixes == 0 {
            node.claims = claim.entry
            node.singleOwner = claim.owner
        } else {
            if node.prefixes.isSingleBit {
                let single = Claim(owner: node.singleOwner, entry: node.claims)
                node.claims = claims.insert(single, at: 0, into: noIndex, count: 0)
            }
            node.claims = claims.insert(
                claim, at: Int(Self.rank(of: bit, in: node.prefixes)), into: node.claims,
                count: node.prefixes.nonzeroBitCount)
        }
        node.prefixes |= bit
        nodes[index] = node
    }

    mutating func takeClaim(from index: UInt32, at position: UInt64) -> Claim? {
        var node = nodes[index]
        let bit: UInt64 = 1 << position
        guard node.prefixes & bit != 0 else { return nil }
        let claim = claim(of: node, at: position)
        if node.prefixes.isSingleBit {
            node.claims = noIndex
        } else {
            node.claims = claims.remove(
                at: Int(Self.rank(of: bit, in: node.prefixes)), from: node.claims,
                count: node.prefixes.nonzeroBitCount)
            if (node.prefixes & ~bit).isSingleBit {
                let single = claims[node.claims]
                claims.release(node.claims, count: 1)
                node.claims = single.entry
                node.singleOwner = single.owner
            }
        }
        node.prefixes &= ~bit
        nodes[index] = node
        return claim
    }
}

extension PrefixTrie {
    /// Copies everything to new pools without gaps. It happens when a fifth of the old ones is of no
    /// use, so after as many changes; for each of them it costs the copy of some elements.
    mutating func compact() {
        self = compacted(withRoomFor: 0)
    }

    /// The same without gaps, and with room for so many prefixes more.
    func compacted(withRoomFor count: Int) -> PrefixTrie {
        var trie = PrefixTrie(
            nodes: BlockPool(
                capacity: nodes.elementsInUse / 16 * 17 + count * Self.elementsPerPrefix),
            claims: BlockPool(
                capacity: claims.elementsInUse / 16 * 17 + count * Self.elementsPerPrefix),
            shortcuts: shortcuts.copy(), count: self.count)
        let root = trie.nodes.allocate(1)
        trie.nodes[root] = nodes[0]
        copyRuns(of: root, to: &trie.nodes, &trie.claims)
        trie.publish(below: 0)
        return trie
    }

    /// The most elements of a pool that a prefix takes: it may move a run of 63 to one of 64, and split
    /// a node.
    static var elementsPerPrefix: Int { 66 }

    /// Whether so many prefixes more may make a pool grow.
    func lacksRoom(for count: Int) -> Bool {
        nodes.lacksRoom(for: count * Self.elementsPerPrefix)
            || claims.lacksRoom(for: count * Self.elementsPerPrefix)
    }

    /// What ``adopt(_:)`` puts in the place of pools that lack room for so many prefixes more.
    func makeRoom(for count: Int) -> Room {
        let elements = count * Self.elementsPerPrefix
        var room = Room()
        if (nodes.isLoose && nodes.lacksRoom(for: elements))
            || (claims.isLoose && claims.lacksRoom(for: elements))
        {
            room.trie = compacted(withRoomFor: count)
            return room
        }
        if nodes.lacksRoom(for: elements) { room.nodes = nodes.grown(toHaveRoomFor: elements) }
        if claims.lacksRoom(for: elements) { room.claims = claims.grown(toHaveRoomFor: elements) }
        return room
    }

    /// Pools with more room, and afterwards those that they replaced.
    struct Room: ~Copyable {
        var trie: PrefixTrie?
        var nodes: BlockPool<Node>?
        var claims: BlockPool<Claim>?
    }

    /// Takes what ``makeRoom(for:)`` made of this trie, which has not changed since.
    mutating func adopt(_ room: inout Room) {
        if var trie = room.trie.take() {
            swap(&self, &trie)
            room.trie = consume trie
        }
        if var nodes = room.nodes.take() {
            swap(&self.nodes, &nodes)
            room.nodes = consume nodes
        }
        if var claims = room.claims.take() {
            swap(&self.claims, &claims)
            room.claims = consume claims
        }
    }

    /// Copies what belongs to a node that has been copied.
    func copyRuns(
        of index: UInt32, to newNodes: inout BlockPool<Node>, _ newClaims: inout BlockPool<Claim>
    ) {
        let node = newNodes[index]
        if node.prefixes != 0, !node.prefixes.isSingleBit {
            let count = node.prefixes.nonzeroBitCount
            let run = newClaims.allocate(count)
            for rank in 0..<UInt32(count) { newClaims[run + rank] = claims[node.claims + rank] }
            newNodes[index].claims = run
        }
        guard node.branches != 0 else { return }
        let count = node.branches.nonzeroBitCount
        let run = newNodes.allocate(count)
        for rank in 0..<UInt32(count) { newNodes[run + rank] = nodes[node.children + rank] }
        newNodes[index].children = run
        for rank in 0..<UInt32(count) { copyRuns(of: run + rank, to: &newNodes, &newClaims) }
    }
}
