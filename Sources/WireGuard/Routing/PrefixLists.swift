import Packets

/// The prefixes of each peer as a list, oldest first.
struct PrefixLists: ~Copyable, Sendable {
    private var entries4 = BlockPool<Entry<UInt32>>()
    private var entries6 = BlockPool<Entry<UInt128>>()
    /// The list of each peer slot.
    private var lists: [List] = []
    /// The number of prefixes of all peers.
    private(set) var count = 0

    /// Names the entry of a prefix: its index in the pool of its family, doubled, plus one for IPv6.
    struct Link: BitwiseCopyable, Equatable {
        var rawValue: UInt32

        static var none: Link { Link(rawValue: noIndex) }

        fileprivate var isIPv6: Bool { rawValue & 1 != 0 }

        /// A run of one element of the pool.
        fileprivate var run: Run { Run(index: rawValue >> 1, count: 1) }
    }

    // Not private: private types here break the debug code of other files (Swift 6.3.1).
    struct Entry<Address: BitwiseCopyable>: BitwiseCopyable {
        var address: Address
        var neighbours = Neighbours()
        var length: UInt8
    }

    /// The neighbours of an entry in its list.
    struct Neighbours: BitwiseCopyable {
        var previous = Link.none
        var next = Link.none
    }

    /// A ring, in which the first entry follows the last.
    private struct List {
        var last = Link.none
        var count: UInt32 = 0
    }

    // MARK: Prefixes

    /// Adds a prefix to the end of the list of a peer.
    mutating func append(_ prefix: IPPrefix, to owner: UInt32) -> Link {
        let link: Link
        switch prefix.address {
        case .v4(let address):
            let index = entries4.allocate(1).index
            entries4[index] = Entry(address: address.bits, length: prefix.length)
            link = Link(rawValue: index << 1)
        case .v6(let address):
            let index = entries6.allocate(1).index
            entries6[index] = Entry(address: address.bits, length: prefix.length)
            link = Link(rawValue: index << 1 | 1)
        }
        append(link, to: owner)
        return link
    }

    /// Moves a prefix from the list of a peer to the end of that of another, or of its own.
    mutating func move(_ link: Link, from old: UInt32, to new: UInt32) {
        unlink(link, from: old)
        append(link, to: new)
    }

    /// Removes a prefix from the list of a peer.
    mutating func remove(_ link: Link, from owner: UInt32) {
        unlink(link, from: owner)
        if link.isIPv6 {
            entries6.release(link.run)
        } else {
            entries4.release(link.run)
        }
    }

    /// Removes the newest prefix of a peer and returns it, nil if there is none.
    mutating func removeLast(of owner: UInt32) -> IPPrefix? {
        guard count(of: owner) > 0 else { return nil }
        let link = lists[Int(owner)].last
        let prefix = prefix(of: link)
        remove(link, from: owner)
        return prefix
    }

    /// The prefix that a link names.
    func prefix(of link: Link) -> IPPrefix {
        let address: IPAddress
        let length: UInt8
        if link.isIPv6 {
            let entry = entries6[link.run.index]
            (address, length) = (.v6(IPv6Address(bits: entry.address)), entry.length)
        } else {
            let entry = entries4[link.run.index]
            (address, length) = (.v4(IPv4Address(bits: entry.address)), entry.length)
        }
        guard let prefix = IPPrefix(address, length: Int(length)) else {
            preconditionFailure("an entry holds a valid prefix")
        }
        return prefix
    }

    /// Calls `body` with each prefix of a peer, oldest first.
    func forEach(of owner: UInt32, _ body: (IPPrefix, Link) -> Void) {
        guard owner < lists.count else { return }
        let list = lists[Int(owner)]
        var link = list.last
        for _ in 0..<list.count {
            link = self[link].next
            body(prefix(of: link), link)
        }
    }

    /// The number of prefixes of a peer.
    func count(of owner: UInt32) -> Int {
        owner < lists.count ? Int(lists[Int(owner)].count) : 0
    }

    // MARK: Links

    private subscript(link: Link) -> Neighbours {
        get {
            link.isIPv6
                ? entries6[link.run.index].neighbours : entries4[link.run.index].neighbours
        }
        set {
            if link.isIPv6 {
                entries6[link.run.index].neighbours = newValue
            } else {
                entries4[link.run.index].neighbours = newValue
            }
        }
    }

    private mutating func append(_ link: Link, to owner: UInt32) {
        let owner = Int(owner)
        if lists.count <= owner {
            // An array would double, which costs megabytes for a million peers.
            if lists.capacity <= owner { lists.reserveCapacity(owner + owner / 8 + 4) }
            lists.append(contentsOf: repeatElement(List(), count: owner + 1 - lists.count))
        }
        let last = lists[owner].last
        if last == .none {
            self[link] = Neighbours(previous: link, next: link)
        } else {
            let first = self[last].next
            self[link] = Neighbours(previous: last, next: first)
            self[last].next = link
            self[first].previous = link
        }
        lists[owner].last = link
        lists[owner].count += 1
        count += 1
    }

    private mutating func unlink(_ link: Link, from owner: UInt32) {
        let owner = Int(owner)
        let neighbours = self[link]
        self[neighbours.previous].next = neighbours.next
        self[neighbours.next].previous = neighbours.previous
        lists[owner].count -= 1
        count -= 1
        if lists[owner].count == 0 {
            lists[owner].last = .none
        } else if lists[owner].last == link {
            lists[owner].last = neighbours.previous
        }
    }

    // MARK: Memory

    /// Whether `count` more prefixes may make a pool grow.
    func lacksRoom(for count: Int) -> Bool {
        entries4.lacksRoom(for: count) || entries6.lacksRoom(for: count)
    }

    /// Makes the memory for `count` more prefixes, for ``adopt(_:)``.
    func makeRoom(for count: Int) -> Room {
        var room = Room()
        if entries4.lacksRoom(for: count) { room.entries4 = entries4.grown(toHaveRoomFor: count) }
        if entries6.lacksRoom(for: count) { room.entries6 = entries6.grown(toHaveRoomFor: count) }
        return room
    }

    /// Swaps in the memory of ``makeRoom(for:)``. The lists must not have changed since.
    mutating func adopt(_ room: inout Room) {
        if var entries = room.entries4.take() {
            swap(&entries4, &entries)
            room.entries4 = consume entries
        }
        if var entries = room.entries6.take() {
            swap(&entries6, &entries)
            room.entries6 = consume entries
        }
    }

    /// Memory for more prefixes; after ``adopt(_:)`` the memory that it replaced.
    struct Room: ~Copyable {
        fileprivate var entries4: BlockPool<Entry<UInt32>>?
        fileprivate var entries6: BlockPool<Entry<UInt128>>?
    }

    /// The size of the memory in bytes.
    var byteCount: Int {
        entries4.byteCount + entries6.byteCount + lists.capacity * MemoryLayout<List>.stride
    }

    /// The allocated entries.
    var elementsInUse: Int { entries4.elementsInUse + entries6.elementsInUse }

    // MARK: Invariants

    #if DEBUG
        /// Asserts that all lists are rings. Calls `visit` with each prefix.
        func assertInvariants(_ visit: (IPPrefix, Link, _ owner: UInt32) -> Void) {
            var listed = 0
            for (owner, list) in lists.enumerated() {
                forEach(of: UInt32(owner)) { prefix, link in
                    listed += 1
                    assert(self[self[link].next].previous == link, "a list is broken")
                    visit(prefix, link, UInt32(owner))
                }
                assert(list.count == 0 || self[list.last].next != .none)
            }
            assert(listed == count && elementsInUse == count, "an entry is not in a list")
        }
    #endif
}

extension IPv6Address {
    fileprivate init(bits: UInt128) {
        self.init(
            high: UInt64(truncatingIfNeeded: bits >> 64), low: UInt64(truncatingIfNeeded: bits))
    }

    var bits: UInt128 { UInt128(high: high, low: low) }
}

extension UInt128 {
    @inline(__always)
    init(high: UInt64, low: UInt64) {
        self = UInt128(truncatingIfNeeded: high) &<< 64 | UInt128(truncatingIfNeeded: low)
    }
}
