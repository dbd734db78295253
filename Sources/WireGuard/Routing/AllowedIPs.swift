import Packets

/// Which peer owns which addresses: where a packet goes, and who may send from an address.
///
/// A prefix has one owner, the peer that claimed it last, and of the prefixes in which an address
/// lies the longest decides ("cryptokey routing", §2 of the paper). Besides the tries for looking up
/// there is a list of its prefixes for each peer, oldest first, as the kernel has it.
///
/// A look-up allocates, retains and writes nothing, so several threads may look up at once; who
/// changes the table sees to it that nobody does so meanwhile.
package struct AllowedIPs: ~Copyable, Sendable {
    private var trie4 = PrefixTrie<UInt32>()
    private var trie6 = PrefixTrie<UInt128>()
    private var entries4 = BlockPool<Entry<UInt32>>()
    private var entries6 = BlockPool<Entry<UInt128>>()
    /// The list of each peer slot.
    private var lists: [List] = []
    /// The number of prefixes of all peers.
    package private(set) var count = 0

    /// Makes an empty table.
    package init() {}

    /// The peer that owns the longest prefix in which an IPv4 address lies.
    ///
    /// - Parameter address: in host byte order.
    package borrowing func lookup(v4 address: UInt32) -> PeerSlot? {
        let owner = trie4.lookup(address)
        return owner == noOwner ? nil : PeerSlot(rawValue: owner)
    }

    /// The peer that owns the longest prefix in which an IPv6 address lies, given by its halves in
    /// host byte order.
    package borrowing func lookup(v6High high: UInt64, low: UInt64) -> PeerSlot? {
        let owner = trie6.lookup(UInt128(high: high, low: low))
        return owner == noOwner ? nil : PeerSlot(rawValue: owner)
    }

    /// The peer that owns the longest prefix in which `address` lies.
    package borrowing func lookup(_ address: IPAddress) -> PeerSlot? {
        switch address {
        case .v4(let address): lookup(v4: address.bits)
        case .v6(let address): lookup(v6High: address.high, low: address.low)
        }
    }

    /// Gives a prefix to a peer, taking it from its present owner; it becomes the newest of the
    /// peer's prefixes.
    package mutating func insert(_ prefix: IPPrefix, owner: PeerSlot) {
        precondition(owner.rawValue < noOwner)
        let length = Int(prefix.length)
        let claim = claim(on: prefix)
        let link = claim?.entry ?? addEntry(prefix)
        if let claim { unlink(link, from: claim.owner) }
        append(link, to: owner.rawValue)
        switch (prefix.address, claim) {
        case (.v4(let address), nil):
            let claim = PrefixTrie<UInt32>.Claim(owner: owner.rawValue, entry: link)
            trie4.insert(address.bits, length: length, claim: claim)
        case (.v6(let address), nil):
            let claim = PrefixTrie<UInt128>.Claim(owner: owner.rawValue, entry: link)
            trie6.insert(address.bits, length: length, claim: claim)
        case (.v4(let address), _):
            let claim = PrefixTrie<UInt32>.Claim(owner: owner.rawValue, entry: link)
            trie4.replaceClaim(on: address.bits, length: length, with: claim)
        case (.v6(let address), _):
            let claim = PrefixTrie<UInt128>.Claim(owner: owner.rawValue, entry: link)
            trie6.replaceClaim(on: address.bits, length: length, with: claim)
        }
    }

    /// Takes a prefix away from a peer, unless somebody else owns it, or nobody.
    ///
    /// - Returns: whether the peer owned it.
    @discardableResult
    package mutating func remove(_ prefix: IPPrefix, ifOwnedBy owner: PeerSlot) -> Bool {
        guard let claim = claim(on: prefix), claim.owner == owner.rawValue else { return false }
        removeClaimed(prefix)
        unlink(claim.entry, from: claim.owner)
        release(claim.entry)
        shrinkIfEmpty()
        return true
    }

    /// Takes all prefixes away from a peer.
    package mutating func removeAll(ownedBy owner: PeerSlot) {
        guard owner.rawValue < lists.count else { return }
        let list = lists[Int(owner.rawValue)]
        lists[Int(owner.rawValue)] = List()
        count -= Int(list.count)
        var link = list.last
        for _ in 0..<list.count {
            let previous = neighbours(of: link).previous
            removeClaimed(prefix(of: link))
            release(link)
            link = previous
        }
        shrinkIfEmpty()
    }

    /// Whether so many prefixes more may make a pool grow, which takes long for a large one.
    package borrowing func lacksRoom(for count: Int) -> Bool {
        trie4.lacksRoom(for: count) || trie6.lacksRoom(for: count)
            || entries4.lacksRoom(for: count) || entries6.lacksRoom(for: count)
    }

    /// Copies what lacks room for so many prefixes more to larger memory, while others may look up.
    package borrowing func makeRoom(for count: Int) -> Room {
        var room = Room(trie4: trie4.makeRoom(for: count), trie6: trie6.makeRoom(for: count))
        if entries4.lacksRoom(for: count) { room.entries4 = entries4.grown(toHaveRoomFor: count) }
        if entries6.lacksRoom(for: count) { room.entries6 = entries6.grown(toHaveRoomFor: count) }
        return room
    }

    /// Goes on in the larger memory; nothing may have changed since it was made. The old one is in
    /// `room` then, to be freed when others look up again.
    package mutating func adopt(_ room: inout Room) {
        trie4.adopt(&room.trie4)
        trie6.adopt(&room.trie6)
        if var entries = room.entries4.take() {
            swap(&entries4, &entries)
            room.entries4 = consume entries
        }
        if var entries = room.entries6.take() {
            swap(&entries6, &entries)
            room.entries6 = consume entries
        }
    }

    /// Memory for more prefixes.
    package struct Room: ~Copyable {
        fileprivate var trie4: PrefixTrie<UInt32>.Room
        fileprivate var trie6: PrefixTrie<UInt128>.Room
        fileprivate var entries4: BlockPool<Entry<UInt32>>?
        fileprivate var entries6: BlockPool<Entry<UInt128>>?
    }

    /// Calls `body` with each prefix of a peer, the one that it got first at the start.
    package borrowing func forEachPrefix(
        ownedBy owner: PeerSlot, _ body: (IPPrefix) -> Void
    ) {
        guard owner.rawValue < lists.count else { return }
        let list = lists[Int(owner.rawValue)]
        var link = list.last
        for _ in 0..<list.count {
            link = neighbours(of: link).next
            body(prefix(of: link))
        }
    }

    /// The number of prefixes that a peer owns.
    package borrowing func count(ownedBy owner: PeerSlot) -> Int {
        owner.rawValue < lists.count ? Int(lists[Int(owner.rawValue)].count) : 0
    }

    /// The bytes of memory that the table holds, itself included.
    package var byteCount: Int {
        MemoryLayout<Self>.size + trie4.byteCount + trie6.byteCount + entries4.byteCount
            + entries6.byteCount + lists.capacity * MemoryLayout<List>.stride
    }

    /// The elements of all pools in use, with what rounding adds: two, the roots, in an empty table.
    package var elementsInUse: Int {
        trie4.elementsInUse + trie6.elementsInUse + entries4.elementsInUse
            + entries6.elementsInUse
    }

}

extension AllowedIPs {
    /// A prefix as a member of its owner's list. A *link* names one: its index in the pool of its
    /// family, doubled, plus one for IPv6.
    ///
    /// Not private: a private type here breaks the debug code of other files (Swift 6.3.1).
    struct Entry<Address: BitwiseCopyable>: BitwiseCopyable {
        var address: Address
        var previous = noIndex
        var next = noIndex
        var length: UInt8
    }

    /// A peer's list: a ring, so that its last member leads to its first.
    private struct List {
        var last = noIndex
        var count: UInt32 = 0
    }

    private typealias Claim = (owner: UInt32, entry: UInt32)

    private func claim(on prefix: IPPrefix) -> Claim? {
        switch prefix.address {
        case .v4(let address):
            trie4.claim(on: address.bits, length: Int(prefix.length)).map { ($0.owner, $0.entry) }
        case .v6(let address):
            trie6.claim(on: address.bits, length: Int(prefix.length)).map { ($0.owner, $0.entry) }
        }
    }

    private mutating func removeClaimed(_ prefix: IPPrefix) {
        switch prefix.address {
        case .v4(let address): _ = trie4.remove(address.bits, length: Int(prefix.length))
        case .v6(let address): _ = trie6.remove(address.bits, length: Int(prefix.length))
        }
    }

    private mutating func addEntry(_ prefix: IPPrefix) -> UInt32 {
        switch prefix.address {
        case .v4(let address):
            let index = entries4.allocate(1)
            entries4[index] = Entry(address: address.bits, length: prefix.length)
            return index << 1
        case .v6(let address):
            let index = entries6.allocate(1)
            entries6[index] = Entry(address: address.bits, length: prefix.length)
            return index << 1 | 1
        }
    }

    private mutating func release(_ link: UInt32) {
        if link & 1 == 0 {
            entries4.release(link >> 1, count: 1)
        } else {
            entries6.release(link >> 1, count: 1)
        }
    }

    private func prefix(of link: UInt32) -> IPPrefix {
        let address: IPAddress
        let length: UInt8
        if link & 1 == 0 {
            let entry = entries4[link >> 1]
            (address, length) = (.v4(IPv4Address(bits: entry.address)), entry.length)
        } else {
            let entry = entries6[link >> 1]
            (address, length) = (.v6(IPv6Address(bits: entry.address)), entry.length)
        }
        guard let prefix = IPPrefix(address, length: Int(length)) else {
            preconditionFailure("an entry is made of a prefix")
        }
        return prefix
    }

    private func neighbours(of link: UInt32) -> (previous: UInt32, next: UInt32) {
        if link & 1 == 0 {
            let entry = entries4[link >> 1]
            return (entry.previous, entry.next)
        }
        let entry = entries6[link >> 1]
        return (entry.previous, entry.next)
    }

    private mutating func setPrevious(of link: UInt32, to previous: UInt32) {
        if link & 1 == 0 {
            entries4[link >> 1].previous = previous
        } else {
            entries6[link >> 1].previous = previous
        }
    }

    private mutating func setNext(of link: UInt32, to next: UInt32) {
        if link & 1 == 0 {
            entries4[link >> 1].next = next
        } else {
            entries6[link >> 1].next = next
        }
    }

    /// Frees the memory of a table that has become empty.
    private mutating func shrinkIfEmpty() {
        if count == 0, byteCount > 1 << 16 { self = AllowedIPs() }
    }

    private mutating func append(_ link: UInt32, to owner: UInt32) {
        let owner = Int(owner)
        if lists.count <= owner {
            // An array doubles by itself, which for a million peers is megabytes.
            if lists.capacity <= owner { lists.reserveCapacity(owner + owner / 8 + 4) }
            lists.append(contentsOf: repeatElement(List(), count: owner + 1 - lists.count))
        }
        let last = lists[owner].last
        if last == noIndex {
            setNext(of: link, to: link)
            setPrevious(of: link, to: link)
        } else {
            let first = neighbours(of: last).next
            setPrevious(of: link, to: last)
            setNext(of: link, to: first)
            setNext(of: last, to: link)
            setPrevious(of: first, to: link)
        }
        lists[owner].last = link
        lists[owner].count += 1
        count += 1
    }

    private mutating func unlink(_ link: UInt32, from owner: UInt32) {
        let owner = Int(owner)
        let (previous, next) = neighbours(of: link)
        setNext(of: previous, to: next)
        setPrevious(of: next, to: previous)
        lists[owner].count -= 1
        count -= 1
        if lists[owner].count == 0 {
            lists[owner].last = noIndex
        } else if lists[owner].last == link {
            lists[owner].last = previous
        }
    }
}

extension IPv6Address {
    fileprivate init(bits: UInt128) {
        self.init(
            high: UInt64(truncatingIfNeeded: bits >> 64), low: UInt64(truncatingIfNeeded: bits))
    }

    fileprivate var bits: UInt128 { UInt128(high: high, low: low) }
}

extension UInt128 {
    @inline(__always)
    fileprivate init(high: UInt64, low: UInt64) {
        self = UInt128(truncatingIfNeeded: high) &<< 64 | UInt128(truncatingIfNeeded: low)
    }
}
