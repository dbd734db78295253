import Packets
import WireGuard

/// Random prefixes, and addresses that each match at least one of them.
final class RandomRoutes {
    private let count: Int
    private let isIPv6: Bool
    private lazy var routes = Table(count: count, isIPv6: isIPv6)

    /// The first look-up creates the table, because a million prefixes take a while.
    init(count: Int, isIPv6: Bool) {
        self.count = count
        self.isIPv6 = isIPv6
    }

    /// Looks up `count` addresses. The result depends on all look-ups, so that none is optimized away.
    func lookUp(_ count: Int) -> UInt32 {
        isIPv6 ? routes.lookUp6(count) : routes.lookUp4(count)
    }

    private final class Table {
        private let table: AllowedIPs
        private let addresses: [(high: UInt64, low: UInt64)]

        /// A power of two, so that the measured loop needs no division.
        private static let addressCount = 1 << 16

        init(count: Int, isIPv6: Bool) {
            var random = SplitMix(state: 1)
            let width = isIPv6 ? 128 : 32
            var table = AllowedIPs()
            var prefixes: [(high: UInt64, low: UInt64, length: Int)] = []
            while prefixes.count < count {
                let length = Int.random(in: 8...width, using: &random)
                let (high, low) = (random.next(), random.next())
                let address = Self.address(high, low, isIPv6: isIPv6)
                guard let prefix = IPPrefix(address, length: length) else { continue }
                table.insert(prefix, owner: PeerSlot(rawValue: UInt32(prefixes.count % 1000)))
                prefixes.append((high, low, length))
            }
            self.table = table
            addresses = (0..<Self.addressCount).map { _ in
                let prefix = prefixes[Int.random(in: 0..<count, using: &random)]
                let length = prefix.length
                // The bits after the prefix are random.
                let highMask = length >= 64 ? 0 : UInt64.max >> length
                let lowMask = length >= 128 ? 0 : UInt64.max >> max(length - 64, 0)
                return (
                    prefix.high & ~highMask | random.next() & highMask,
                    prefix.low & ~lowMask | random.next() & lowMask
                )
            }
        }

        /// An IPv4 address is in the upper half of `high`.
        private static func address(_ high: UInt64, _ low: UInt64, isIPv6: Bool) -> IPAddress {
            isIPv6
                ? .v6(IPv6Address(high: high, low: low))
                : .v4(IPv4Address(bits: UInt32(truncatingIfNeeded: high >> 32)))
        }

        func lookUp4(_ count: Int) -> UInt32 {
            var sum: UInt32 = 0
            for index in 0..<count {
                let address = addresses[index & (Self.addressCount - 1)]
                sum &+=
                    table.lookup(v4: UInt32(truncatingIfNeeded: address.high >> 32))?.rawValue ?? 0
            }
            return sum
        }

        func lookUp6(_ count: Int) -> UInt32 {
            var sum: UInt32 = 0
            for index in 0..<count {
                let address = addresses[index & (Self.addressCount - 1)]
                sum &+= table.lookup(v6High: address.high, low: address.low)?.rawValue ?? 0
            }
            return sum
        }
    }
}

/// A generator with a fixed sequence, so that all runs measure the same tables.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}
