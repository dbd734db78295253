import Packets

/// The allowed IPs of all peers: which peer a packet goes to, and which source addresses a peer may use.
///
/// A prefix has one owner, the peer that claimed it last. For an address, the longest prefix that
/// contains it decides ("cryptokey routing", §2 of the paper). Besides the tries there is a list of the
/// prefixes of each peer, oldest first, as in the kernel.
///
/// A look-up does not allocate, retain or write, so threads may look up at the same time. A change needs
/// exclusive access.
package struct AllowedIPs: ~Copyable, Sendable {
    private var trie4 = PrefixTrie<UInt32>()
    private var trie6 = PrefixTrie<UInt128>()
    private var lists = PrefixLists()

    /// Makes an empty table.
    package init() {}

    /// The number of prefixes of all peers.
    package var count: Int { lists.count }

    /// The owner of the longest prefix that contains an IPv4 address.
    ///
    /// - Parameter address: in host byte order.
    package borrowing func lookup(v4 address: UInt32) -> PeerSlot? {
        let owner = trie4.lookup(address)
        return owner == noOwner ? nil : PeerSlot(rawValue: owner)
    }

    /// The owner of the longest prefix that contains an IPv6 address, given as its halves in host byte
    /// order.
    package borrowing func lookup(v6High high: UInt64, low: UInt64) -> PeerSlot? {
        let owner = trie6.lookup(UInt128(high: high, low: low))
        return owner == noOwner ? nil : PeerSlot(rawValue: owner)
    }

    /// The owner of the longest prefix that contains `address`.
    package borrowing func lookup(_ address: IPAddress) -> PeerSlot? {
        switch address {
        case .v4(let address): lookup(v4: address.bits)
        case .v6(let address): lookup(v6High: address.high, low: address.low)
        }
    }

    // MARK: Changes

    /// Gives a prefix to a peer, and takes it from its present owner. It becomes the newest prefix of
    /// the peer, even if the peer has it already.
    package mutating func insert(_ prefix: IPPrefix, owner: PeerSlot) {
        precondition(owner.rawValue < noOwner)
        let length = Int(prefix.length)
        let old = claim(on: prefix)
        let link: PrefixLists.Link
        if let old {
            link = old.link
            lists.move(link, from: old.owner, to: owner.rawValue)
        } else {
            link = lists.append(prefix, to: owner.rawValue)
        }
        switch prefix.address {
        case .v4(let address):
            let claim = PrefixTrie<UInt32>.Claim(owner: owner.rawValue, entry: link.rawValue)
            if old == nil {
                trie4.insert(address.bits, length: length, claim: claim)
            } else {
                trie4.replaceClaim(on: address.bits, length: length, with: claim)
            }
        case .v6(let address):
            let claim = PrefixTrie<UInt128>.Claim(owner: owner.rawValue, entry: link.rawValue)
            if old == nil {
                trie6.insert(address.bits, length: length, claim: claim)
            } else {
                trie6.replaceClaim(on: address.bits, length: length, with: claim)
            }
        }
    }

    /// Removes a prefix, unless another peer owns it.
    ///
    /// - Returns: whether `owner` owned it.
    @discardableResult
    package mutating func remove(_ prefix: IPPrefix, ifOwnedBy owner: PeerSlot) -> Bool {
        guard let claim = claim(on: prefix), claim.owner == owner.rawValue else { return false }
        removeClaimed(prefix)
        lists.remove(claim.link, from: claim.owner)
        shrinkIfEmpty()
        return true
    }

    /// Removes all prefixes of a peer.
    package mutating func removeAll(ownedBy owner: PeerSlot) {
        while let prefix = lists.removeLast(of: owner.rawValue) { removeClaimed(prefix) }
        shrinkIfEmpty()
    }

    // MARK: The prefixes of a peer

    /// Calls `body` with each prefix of a peer, oldest first.
    package borrowing func forEachPrefix(
        ownedBy owner: PeerSlot, _ body: (IPPrefix) -> Void
    ) {
        lists.forEach(of: owner.rawValue) { prefix, _ in body(prefix) }
    }

    /// The number of prefixes of a peer.
    package borrowing func count(ownedBy owner: PeerSlot) -> Int {
        lists.count(of: owner.rawValue)
    }

    // MARK: Memory

    /// Whether `count` more prefixes may make a pool grow, which takes long for a large pool.
    package borrowing func lacksRoom(for count: Int) -> Bool {
        trie4.lacksRoom(for: count) || trie6.lacksRoom(for: count)
            || lists.lacksRoom(for: count)
    }

    /// Copies the pools that lack room for `count` more prefixes to larger memory. Other threads may
    /// look up meanwhile.
    package borrowing func makeRoom(for count: Int) -> Room {
        Room(
            trie4: trie4.makeRoom(for: count), trie6: trie6.makeRoom(for: count),
            lists: lists.makeRoom(for: count))
    }

    /// Swaps in the larger memory. The table must not have changed since ``makeRoom(for:)``. `room`
    /// then holds the old memory; free it once other threads may look up again.
    package mutating func adopt(_ room: inout Room) {
        trie4.adopt(&room.trie4)
        trie6.adopt(&room.trie6)
        lists.adopt(&room.lists)
    }

    /// Memory for more prefixes.
    package struct Room: ~Copyable {
        fileprivate var trie4: PrefixTrie<UInt32>.Room
        fileprivate var trie6: PrefixTrie<UInt128>.Room
        fileprivate var lists: PrefixLists.Room
    }

    /// The size of the table in bytes, with all its memory.
    package var byteCount: Int {
        MemoryLayout<Self>.size + trie4.byteCount + trie6.byteCount + lists.byteCount
    }

    /// The allocated elements of all pools, with run sizes rounded up: two, the roots, in an empty table.
    package var elementsInUse: Int {
        trie4.elementsInUse + trie6.elementsInUse + lists.elementsInUse
    }

    /// Frees the memory of a table that has become empty.
    private mutating func shrinkIfEmpty() {
        if count == 0, byteCount > 1 << 16 { self = AllowedIPs() }
    }
}

// MARK: Claims

extension AllowedIPs {
    private func claim(on prefix: IPPrefix) -> (owner: UInt32, link: PrefixLists.Link)? {
        switch prefix.address {
        case .v4(let address):
            trie4.claim(on: address.bits, length: Int(prefix.length))
                .map { ($0.owner, PrefixLists.Link(rawValue: $0.entry)) }
        case .v6(let address):
            trie6.claim(on: address.bits, length: Int(prefix.length))
                .map { ($0.owner, PrefixLists.Link(rawValue: $0.entry)) }
        }
    }

    private mutating func removeClaimed(_ prefix: IPPrefix) {
        switch prefix.address {
        case .v4(let address): _ = trie4.remove(address.bits, length: Int(prefix.length))
        case .v6(let address): _ = trie6.remove(address.bits, length: Int(prefix.length))
        }
    }
}

// MARK: Invariants

extension AllowedIPs {
    /// Asserts, in debug builds, that the tries and the lists are consistent and agree, in time
    /// proportional to the size of the table.
    package borrowing func assertInvariants() {
        #if DEBUG
            var claims = 0
            trie4.assertInvariants { _, _, _ in claims += 1 }
            trie6.assertInvariants { _, _, _ in claims += 1 }
            assert(claims == count, "a prefix is missing in a list or a trie")
            lists.assertInvariants { prefix, link, owner in
                let claim = claim(on: prefix)
                assert(claim?.owner == owner, "a prefix is in the wrong list")
                assert(claim?.link == link, "a prefix has two entries")
            }
        #endif
    }
}
