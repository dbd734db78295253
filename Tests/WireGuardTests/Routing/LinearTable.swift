import Packets
import WireGuard

/// The allowed IPs as a list that is searched from start to end: what ``AllowedIPs`` is held against.
struct LinearTable {
    private var owners: [IPPrefix: PeerSlot] = [:]

    var count: Int { owners.count }
    var prefixes: [IPPrefix] { Array(owners.keys) }

    mutating func insert(_ prefix: IPPrefix, owner: PeerSlot) {
        owners[prefix] = owner
    }

    mutating func remove(_ prefix: IPPrefix, ifOwnedBy owner: PeerSlot) -> Bool {
        guard owners[prefix] == owner else { return false }
        owners[prefix] = nil
        return true
    }

    mutating func removeAll(ownedBy owner: PeerSlot) {
        owners = owners.filter { $0.value != owner }
    }

    mutating func removeAll(ownedBy peers: Range<UInt32>) {
        owners = owners.filter { !peers.contains($0.value.rawValue) }
    }

    /// The number of prefixes of each peer that has any.
    var counts: [PeerSlot: Int] {
        owners.values.reduce(into: [:]) { $0[$1, default: 0] += 1 }
    }

    func prefixes(ownedBy owner: PeerSlot) -> Set<IPPrefix> {
        Set(owners.filter { $0.value == owner }.keys)
    }

    /// Tries all lengths, the longest first: another way than by a trie.
    func lookup(_ address: IPAddress) -> PeerSlot? {
        for length in stride(from: address.bitCount, through: 0, by: -1) {
            guard let prefix = IPPrefix(address, length: length) else { return nil }
            if let owner = owners[prefix] { return owner }
        }
        return nil
    }
}
