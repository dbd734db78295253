#if DEBUG
    extension PrefixTrie {
        /// Asserts that nodes, claims and shortcuts are consistent, in time proportional to the size of
        /// the trie. Calls `visit` with each prefix.
        func assertInvariants(
            _ visit: (_ address: Address, _ length: Int, Claim) -> Void = { _, _, _ in }
        ) {
            // The root is a run of one.
            var elements = 1
            var prefixes = 0
            assertInvariants(below: Nodes.root, &elements) { address, length, claim in
                prefixes += 1
                visit(address, length, claim)
            }
            assert(prefixes == count, "the count is wrong")
            assert(elements == nodes.elementsInUse, "a run leaked or is in use twice")
            guard shortcuts.areActive else { return }
            let expected = nodes.makeShortcuts()
            for slot in 0..<(1 << Shortcuts.bitCount) {
                assert(shortcuts[slot] == expected[slot], "shortcut \(slot) is out of date")
            }
        }

        private func assertInvariants(
            below index: UInt32, _ elements: inout Int,
            _ visit: (_ address: Address, _ length: Int, Claim) -> Void
        ) {
            let node = nodes[index]
            assert(node.depth % 6 == 0)
            assert(node.address == Node(toward: node.address, at: node.depth).address)
            assert(
                index == Nodes.root || node.prefixes != 0 || node.children.count > 1,
                "a node without a prefix has at least two children")
            if !node.claims.isEmpty { elements += BlockPool<Claim>.roundedUp(node.claims.count) }
            nodes.forEachPrefix(of: node) { address, length, claim in
                assert(claim.owner < noOwner)
                visit(address, length, claim)
            }
            guard !node.children.isEmpty else { return }
            elements += BlockPool<Node>.roundedUp(node.children.count)
            for offset in 0..<node.children.count {
                let child = nodes[node.children[offset]]
                assert(child.depth > node.depth, "a child is deeper than its parent")
                assert(
                    node.depth == 0 || Self.agree(child.address, node.address, upTo: node.depth),
                    "a child is below its parent")
                let chunk = Self.chunk(of: child.address, at: node.depth)
                assert(
                    nodes.child(of: index, chunk: chunk) == node.children[offset],
                    "a child is in the place of its chunk")
                assertInvariants(below: node.children[offset], &elements, visit)
            }
        }
    }
#endif
