import Packets
import WireGuard

/// The allowed IPs of a hub: one random address in 10.0.0.0/8 for each peer.
struct Routes: ~Copyable {
    private var table = AllowedIPs()
    private let addresses: [UInt32]

    init(peers: Int) {
        var random = SystemRandomNumberGenerator()
        addresses = (0..<peers).map { _ in
            0x0A00_0000 | UInt32.random(in: 0..<1 << 24, using: &random)
        }
        for (slot, address) in addresses.enumerated() {
            guard let prefix = IPPrefix(.v4(IPv4Address(bits: address)), length: 32) else {
                continue
            }
            table.insert(prefix, owner: PeerSlot(rawValue: UInt32(slot)))
        }
    }

    /// Looks up `count` addresses. The result depends on all look-ups, so that none is optimized away.
    func lookUp(_ count: Int) -> UInt32 {
        var sum: UInt32 = 0
        var next = 0
        for _ in 0..<count {
            sum &+= table.lookup(v4: addresses[next])?.rawValue ?? 0
            next += 1
            if next == addresses.count { next = 0 }
        }
        return sum
    }
}
