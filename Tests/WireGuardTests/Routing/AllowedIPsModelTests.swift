import Packets
import Testing
import WireGuard

/// Compares random tables with ``LinearTable``.
@Suite("Allowed IPs, compared with a list")
struct AllowedIPsModelTests {
    @Test(
        "2000 peers, 40,400 prefixes and 1.2 million look-ups per family (debug: fewer), then peers are removed"
    )
    func kernelRandom() {
        var generator = SeededGenerator(seed: 1)
        let peers = scaled(release: 2000, debug: 200)
        let prefixes = scaled(release: 400, debug: 20)
        let rounds = 20
        let queries = scaled(release: 130_000, debug: 500)
        var asked = (v4: 0, v6: 0)
        var table = AllowedIPs()
        var model = LinearTable()
        for isIPv6 in [false, true] {
            for _ in 0..<prefixes {
                let address = generator.address(isIPv6: isIPv6)
                for mutation in 0...scaled(release: 100, debug: 20) {
                    let changed = mutation == 0 ? address : generator.mutate(address)
                    let prefix = generator.prefix(of: changed, atLeast: 1)
                    let owner = PeerSlot(
                        rawValue: .random(in: 0..<UInt32(peers), using: &generator))
                    table.insert(prefix, owner: owner)
                    model.insert(prefix, owner: owner)
                }
            }
        }
        for round in 0...rounds {
            expect(table.count, is: model.count)
            let known = model.prefixes
            for query in 0..<queries {
                // Derive half of the addresses from a prefix, because most random ones have no owner.
                let address =
                    query % 2 == 0
                    ? generator.address(isIPv6: query % 4 == 0)
                    : generator.mutate(
                        known[.random(in: 0..<known.count, using: &generator)].address)
                expect(table.lookup(address), is: model.lookup(address))
                if case .v4 = address { asked.v4 += 1 } else { asked.v6 += 1 }
            }
            if round % 5 == 0 { table.assertInvariants() }
            let counts = model.counts
            let leaving =
                UInt32(round * peers / (rounds + 1))..<UInt32((round + 1) * peers / (rounds + 1))
            for peer in leaving {
                let peer = PeerSlot(rawValue: peer)
                expect(table.count(ownedBy: peer), is: counts[peer] ?? 0)
                table.removeAll(ownedBy: peer)
            }
            model.removeAll(ownedBy: leaving)
        }
        expect(table.count, is: 0)
        expect(table.elementsInUse, is: 2)
        let least = scaled(release: 1_200_000, debug: 5_000)
        #expect(asked.v4 >= least && asked.v6 >= least, "\(asked)")
    }

    @Test(
        "random insertions and removals of single prefixes", arguments: 1...4 as ClosedRange<UInt64>
    )
    func churn(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var table = AllowedIPs()
        var model = LinearTable()
        // Few base addresses, so that prefixes nest, and nodes fill, split and merge.
        let bases = (0..<3).flatMap { _ in
            [generator.address(isIPv6: false), generator.address(isIPv6: true)]
        }
        for step in 0..<scaled(release: 40_000, debug: 4_000) {
            let base = bases[.random(in: 0..<bases.count, using: &generator)]
            let prefix = generator.prefix(of: generator.mutate(base), atLeast: 0)
            let owner = PeerSlot(rawValue: .random(in: 0..<8, using: &generator))
            switch Int.random(in: 0..<1000, using: &generator) {
            case 0:
                table.removeAll(ownedBy: owner)
                model.removeAll(ownedBy: owner)
            case 1..<(step / 1000 % 2 == 0 ? 300 : 700):
                let known = model.prefixes
                let isKnown = !known.isEmpty && step % 2 == 0
                let prefix = isKnown ? known[step % known.count] : prefix
                let removed = model.remove(prefix, ifOwnedBy: owner)
                expect(table.remove(prefix, ifOwnedBy: owner), is: removed)
            default:
                table.insert(prefix, owner: owner)
                model.insert(prefix, owner: owner)
            }
            let address = generator.mutate(base)
            expect(table.lookup(address), is: model.lookup(address))
            expect(table.count, is: model.count)
            if step % 50 == 0 { table.assertInvariants() }
        }
        for owner in 0..<8 as Range<UInt32> {
            let owner = PeerSlot(rawValue: owner)
            var walked: Set<IPPrefix> = []
            table.forEachPrefix(ownedBy: owner) { walked.insert($0) }
            #expect(walked == model.prefixes(ownedBy: owner))
            table.removeAll(ownedBy: owner)
        }
        expect(table.elementsInUse, is: 2)
    }

    @Test("memory does not grow when the same prefixes are added and removed again and again")
    func noLeak() {
        var generator = SeededGenerator(seed: 5)
        var table = AllowedIPs()
        let prefixes = (0..<500).map { number in
            generator.prefix(of: generator.address(isIPv6: number % 2 == 0), atLeast: 8)
        }
        let owner = PeerSlot(rawValue: 0)
        // Keep one prefix, because an empty table frees its memory.
        table.insert(IPPrefix("::1/128"), owner: PeerSlot(rawValue: 1))
        let elements = table.elementsInUse
        var bytes = 0
        for round in 0..<20 {
            for prefix in prefixes.shuffled(using: &generator) {
                table.insert(prefix, owner: owner)
            }
            for prefix in prefixes.shuffled(using: &generator) {
                table.remove(prefix, ifOwnedBy: owner)
            }
            expect(table.elementsInUse, is: elements)
            if round == 9 { bytes = table.byteCount }
            if round > 9 { expect(table.byteCount <= bytes * 5 / 4, is: true) }
        }
        table.removeAll(ownedBy: PeerSlot(rawValue: 1))
        expect(table.elementsInUse, is: 2)
    }

    @Test("a large table frees its memory when it becomes empty")
    func shrinks() {
        var generator = SeededGenerator(seed: 8)
        var table = AllowedIPs()
        let owner = PeerSlot(rawValue: 3)
        for number in 0..<5_000 {
            let address = generator.address(isIPv6: number % 2 == 0)
            table.insert(generator.prefix(of: address, atLeast: 8), owner: owner)
        }
        expect(table.byteCount > 100_000, is: true)
        table.removeAll(ownedBy: owner)
        expect(table.elementsInUse, is: 2)
        expect(table.byteCount < 4096, is: true)
    }

    /// Large tables look up the first 16 bits at once. Most prefixes here are shorter, so that they overlap
    /// there.
    @Test(
        "short prefixes are added and removed in a table with shortcuts",
        arguments: 1...2 as ClosedRange<UInt64>)
    func shortcuts(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var table = AllowedIPs()
        var model = LinearTable()
        func filler(_ number: Int) -> IPPrefix {
            IPPrefix("\(number % 223).\(number / 223).7.0/24")
        }
        for round in 0..<3 {
            // Enough prefixes to activate the shortcuts.
            for number in 0..<4_500 {
                table.insert(filler(number), owner: PeerSlot(rawValue: 9))
                model.insert(filler(number), owner: PeerSlot(rawValue: 9))
            }
            for step in 0..<scaled(release: 20_000, debug: 1_500) {
                let base = IPAddress.v4(IPv4Address(bits: 0x0A01_0700 ^ 1 << UInt32(step % 32)))
                let length = Int.random(in: 0...(step % 4 == 0 ? 32 : 18), using: &generator)
                guard let prefix = IPPrefix(generator.mutate(base), length: length) else { return }
                let owner = PeerSlot(rawValue: .random(in: 0..<4, using: &generator))
                if step % 3 == round % 3 {
                    let removed = model.remove(prefix, ifOwnedBy: owner)
                    expect(table.remove(prefix, ifOwnedBy: owner), is: removed)
                } else {
                    model.insert(prefix, owner: owner)
                    table.insert(prefix, owner: owner)
                }
                if step % 300 == 0 { table.assertInvariants() }
                for _ in 0..<4 {
                    let address = generator.mutate(base)
                    expect(table.lookup(address), is: model.lookup(address))
                }
            }
            // Few enough to deactivate the shortcuts.
            for number in 0..<4_400 {
                table.remove(filler(number), ifOwnedBy: PeerSlot(rawValue: 9))
                _ = model.remove(filler(number), ifOwnedBy: PeerSlot(rawValue: 9))
            }
            for number in 0..<4_500 {
                let address = filler(number).address
                expect(table.lookup(address), is: model.lookup(address))
            }
        }
        for owner in 0..<10 as Range<UInt32> { table.removeAll(ownedBy: PeerSlot(rawValue: owner)) }
        expect(table.elementsInUse, is: 2)
    }

    @Test("20,000 peers with one address each take at most 100 bytes per prefix")
    func memory() {
        var generator = SeededGenerator(seed: 6)
        let peers: UInt32 = 20_000
        var dense = AllowedIPs()
        var sparse = AllowedIPs()
        for peer in 0..<peers {
            let address = IPAddress.v4(IPv4Address(bits: 0x0A00_0000 + peer))
            let other = generator.address(isIPv6: false)
            guard let prefix = IPPrefix(address, length: 32),
                let other = IPPrefix(other, length: 32)
            else { return }
            dense.insert(prefix, owner: PeerSlot(rawValue: peer))
            sparse.insert(other, owner: PeerSlot(rawValue: peer))
        }
        expect(dense.byteCount / Int(peers) <= 70, is: true)
        expect(sparse.byteCount / Int(peers) <= 100, is: true)
    }
}

extension SeededGenerator {
    fileprivate mutating func address(isIPv6: Bool) -> IPAddress {
        isIPv6
            ? .v6(IPv6Address(high: next(), low: next()))
            : .v4(IPv4Address(bits: UInt32(truncatingIfNeeded: next())))
    }

    /// Replaces some bits of an address by random ones.
    fileprivate mutating func mutate(_ address: IPAddress) -> IPAddress {
        switch address {
        case .v4(let address):
            let kept = UInt32(truncatingIfNeeded: next() | next())
            let bits = address.bits & kept | UInt32(truncatingIfNeeded: next()) & ~kept
            return .v4(IPv4Address(bits: bits))
        case .v6(let address):
            let (high, low) = (next() | next(), next() | next())
            return .v6(
                IPv6Address(
                    high: address.high & high | next() & ~high,
                    low: address.low & low | next() & ~low))
        }
    }

    fileprivate mutating func prefix(of address: IPAddress, atLeast least: Int) -> IPPrefix {
        let length = Int.random(in: least...address.bitCount, using: &self)
        guard let prefix = IPPrefix(address, length: length) else {
            preconditionFailure("the length is valid")
        }
        return prefix
    }
}
