import Packets
import Testing
import WireGuard

/// The cases of the kernel's static self-test, with other addresses.
@Suite("Allowed IPs")
struct AllowedIPsTests {
    private static let prefixes: [(prefix: String, owner: UInt32)] = [
        ("192.168.4.0/24", 0), ("192.168.4.4/32", 0), ("192.168.0.0/16", 1),
        // The second replaces the first: host bits are cleared.
        ("192.95.5.64/27", 1), ("192.95.5.65/27", 2),
        ("2001:db8:6000:6b00::c05f:543/128", 3), ("2001:db8:6000:6b00::/64", 2),
        ("0.0.0.0/0", 4), ("::/0", 4), ("::/0", 5),  // replaces the prefix before
        ("2404:6800::/32", 6), ("2404:6800:4004:800:dead:beef:dead:beef/64", 7),
        ("2404:6800:4004:800:dead:beef:dead:beef/128", 0),
        ("2444:6800:40e4:800:deae:beef:def:beef/128", 2), ("2444:6800:f0e4:800:eeae:beef::/98", 1),
        ("64.15.112.0/20", 6), ("64.15.123.211/25", 7), ("10.0.0.0/25", 0), ("10.0.0.128/25", 1),
        ("10.1.0.0/30", 0), ("10.1.0.4/30", 1), ("10.1.0.8/29", 2), ("10.1.0.16/29", 3),
    ]

    private static func table() -> AllowedIPs {
        var table = AllowedIPs()
        for (prefix, owner) in prefixes {
            table.insert(IPPrefix(prefix), owner: PeerSlot(rawValue: owner))
        }
        return table
    }

    @Test(
        "the owner of the longest prefix is found",
        arguments: [
            ("192.168.4.20", 0), ("192.168.4.0", 0), ("192.168.4.4", 0), ("192.168.200.182", 1),
            ("192.95.5.68", 2), ("192.95.5.96", 4), ("192.95.5.63", 4),
            ("2001:db8:6000:6b00::c05f:543", 3), ("2001:db8:6000:6b00::c02e:1ee", 2),
            ("2001:db8:6000:6b01::", 5), ("2404:6800:4004:806::1006", 6),
            ("2404:6800:4004:806:0:1234:0:5678", 6), ("2404:67ff:4004:806:0:1234:0:5678", 5),
            ("2404:6801:4004:806:0:1234:0:5678", 5), ("2404:6800:4004:800:0:1234:0:5678", 7),
            ("2404:6800:4004:800::", 7), ("2404:6800:4004:800:1010:1010:1010:1010", 7),
            ("2404:6800:4004:800:dead:beef:dead:beef", 0),
            ("2444:6800:f0e4:800:eeae:beef:1234:1", 1), ("2444:6800:f0e4:800:eeae:beef:4000:1", 5),
            ("64.15.116.26", 6), ("64.15.127.3", 6), ("64.15.123.1", 6), ("64.15.123.128", 7),
            ("64.15.123.129", 7), ("64.15.111.255", 4), ("64.15.128.0", 4), ("10.0.0.0", 0),
            ("10.0.0.52", 0), ("10.0.0.220", 1), ("10.1.0.2", 0), ("10.1.0.6", 1),
            ("10.1.0.10", 2), ("10.1.0.20", 3), ("10.1.0.24", 4), ("255.255.255.255", 4),
            ("0.0.0.0", 4), ("::", 5), ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 5),
        ] as [(String, UInt32)])
    func longestMatch(address: String, owner: UInt32) {
        expect(Self.table().lookup(IPAddress(address)), is: PeerSlot(rawValue: owner))
    }

    @Test("an empty table finds nothing and is small")
    func empty() {
        let table = AllowedIPs()
        expect(table.lookup(v4: 0), is: nil)
        expect(table.lookup(v6High: 0, low: 0), is: nil)
        expect(table.count, is: 0)
        expect(table.count(ownedBy: PeerSlot(rawValue: 9)), is: 0)
        expect(table.elementsInUse, is: 2)
        expect(table.byteCount < 4096, is: true)
    }

    @Test("removing a peer exposes shorter prefixes of other peers")
    func removePeer() {
        var table = AllowedIPs()
        let (alice, bob) = (PeerSlot(rawValue: 0), PeerSlot(rawValue: 1))
        for first in ["1.0.0.0", "64.0.0.0", "128.0.0.0", "192.0.0.0", "255.0.0.0"] {
            table.insert(IPPrefix(first + "/32"), owner: alice)
        }
        table.insert(IPPrefix("64.0.0.0/10"), owner: bob)
        expect(table.count(ownedBy: alice), is: 5)
        table.removeAll(ownedBy: alice)
        for first in ["1.0.0.0", "128.0.0.0", "192.0.0.0", "255.0.0.0"] {
            expect(table.lookup(IPAddress(first)), is: nil)
        }
        expect(table.lookup(IPAddress("64.0.0.0")), is: bob)
        expect(table.count, is: 1)
        table.removeAll(ownedBy: bob)
        table.removeAll(ownedBy: bob)
        expect(table.elementsInUse, is: 2)
    }

    @Test("removing a peer removes nested prefixes")
    func nested() {
        var table = AllowedIPs()
        let alice = PeerSlot(rawValue: 0)
        table.insert(IPPrefix("192.168.0.0/16"), owner: alice)
        table.insert(IPPrefix("192.168.0.0/24"), owner: alice)
        table.removeAll(ownedBy: alice)
        expect(table.lookup(IPAddress("192.168.0.1")), is: nil)
        expect(table.elementsInUse, is: 2)
    }

    @Test("the deepest possible trie: each address differs from all ones in one bit")
    func maximumDepth() {
        var table = AllowedIPs()
        func address(_ bit: Int) -> IPAddress {
            let ones = UInt64.max
            return .v6(
                IPv6Address(
                    high: bit < 64 ? ones ^ 1 << UInt64(bit) : ones,
                    low: bit < 64 ? ones : ones ^ 1 << UInt64(bit - 64)))
        }
        for bit in 0..<128 {
            guard let prefix: IPPrefix = IPPrefix(address(bit), length: 128) else { return }
            table.insert(prefix, owner: PeerSlot(rawValue: UInt32(bit)))
        }
        for bit in 0..<128 {
            expect(table.lookup(address(bit)), is: PeerSlot(rawValue: UInt32(bit)))
        }
        expect(table.lookup(v6High: .max, low: .max), is: nil)
        for bit in 0..<128 { table.removeAll(ownedBy: PeerSlot(rawValue: UInt32(bit))) }
        expect(table.elementsInUse, is: 2)
    }

    @Test("the prefixes of a peer are listed without host bits, oldest first")
    func walk() {
        var table = AllowedIPs()
        let (alice, bob) = (PeerSlot(rawValue: 3), PeerSlot(rawValue: 8))
        let given = ["192.95.5.93/27", "fd00::1/128", "10.1.0.20/29", "10.1.0.26/29", "::1/0"]
        for prefix in given { table.insert(IPPrefix(prefix), owner: alice) }
        table.insert(IPPrefix("172.16.0.0/12"), owner: bob)
        func walk(_ table: borrowing AllowedIPs, _ peer: PeerSlot) -> [String] {
            var found: [String] = []
            table.forEachPrefix(ownedBy: peer) { found.append($0.description) }
            return found
        }
        expect(
            walk(table, alice),
            is: ["192.95.5.64/27", "fd00::1/128", "10.1.0.16/29", "10.1.0.24/29", "::/0"])
        // A claimed prefix becomes the newest, even if the peer had it.
        table.insert(IPPrefix("fd00::1/128"), owner: alice)
        table.insert(IPPrefix("10.1.0.16/29"), owner: bob)
        expect(walk(table, alice), is: ["192.95.5.64/27", "10.1.0.24/29", "::/0", "fd00::1/128"])
        expect(walk(table, bob), is: ["172.16.0.0/12", "10.1.0.16/29"])
        expect(table.count(ownedBy: alice), is: 4)
        expect(walk(table, PeerSlot(rawValue: 4)), is: [])
        expect(walk(table, PeerSlot(rawValue: 1_000_000)), is: [])
    }

    @Test(
        "only the exact prefix is removed, and only for its owner",
        arguments: ["10.0.0.0/8", "10.2.0.0/15", "10.2.0.0/17", "10.3.0.0/16", "::/0", "0.0.0.0/0"])
    func removeOther(prefix: String) {
        var table = AllowedIPs()
        let (alice, bob) = (PeerSlot(rawValue: 0), PeerSlot(rawValue: 1))
        table.insert(IPPrefix("10.2.0.0/16"), owner: alice)
        expect(table.remove(IPPrefix(prefix), ifOwnedBy: alice), is: false)
        expect(table.remove(IPPrefix("10.2.0.0/16"), ifOwnedBy: bob), is: false)
        expect(
            table.remove(IPPrefix("10.2.0.0/16"), ifOwnedBy: PeerSlot(rawValue: 77)), is: false)
        expect(table.lookup(IPAddress("10.2.3.4")), is: alice)
        expect(table.remove(IPPrefix("10.2.3.4/16"), ifOwnedBy: alice), is: true)
        expect(table.lookup(IPAddress("10.2.3.4")), is: nil)
        expect(table.elementsInUse, is: 2)
    }

    @Test("prefixes of every length are found, and removing one exposes the next shorter one")
    func allLengths() {
        let address: IPAddress = IPAddress("170.85.204.51")
        let address6: IPAddress = IPAddress("aaaa:5555:cccc:3333:f0f0:0f0f:9999:6666")
        for address in [address, address6] {
            var table = AllowedIPs()
            let prefixes = (0...address.bitCount).compactMap { IPPrefix(address, length: $0) }
            for prefix in prefixes.shuffled() {
                table.insert(prefix, owner: PeerSlot(rawValue: UInt32(prefix.length)))
            }
            for prefix in prefixes.reversed() {
                let owner = PeerSlot(rawValue: UInt32(prefix.length))
                expect(table.lookup(address), is: owner)
                expect(table.lookup(prefix.address), is: owner)
                table.removeAll(ownedBy: owner)
            }
            expect(table.lookup(address), is: nil)
            expect(table.elementsInUse, is: 2)
        }
    }
}
