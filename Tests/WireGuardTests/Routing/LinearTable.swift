import Packets
import WireGuard

/// A simple model of ``AllowedIPs``: a dictionary, in which a look-up tries every prefix length.
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

    /// The number of prefixes of each peer.
    var counts: [PeerSlot: Int] {
        owners.values.reduce(into: [:]) { $0[$1, default: 0] += 1 }
    }

    func prefixes(ownedBy owner: PeerSlot) -> Set<IPPrefix> {
        Set(owners.filter { $0.value == owner }.keys)
    }

    /// Tries all lengths, the longest first.
    func lookup(_ address: IPAddress) -> PeerSlot? {
        for length in stride(from: address.bitCount, through: 0, by: -1) {
            guard let prefix = IPPrefix(address, length: length) else { return nil }
            if let owner = owners[prefix] { return owner }
        }
        return nil
    }
}
