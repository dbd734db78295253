import WireGuard

/// Alice and Bob, who are peers of each other.
public struct Pair {
    /// The network of both.
    public let network: Network
    /// Outer address 192.0.2.1:51820, inner addresses 10.0.0.1 and fd00::1. Knows Bob's endpoint.
    public let alice: Host
    /// Outer address 198.51.100.2:51821, inner addresses 10.0.0.2 and fd00::2. Waits for Alice's initiation.
    public let bob: Host

    /// Deviations from the default.
    public struct Options: OptionSet, Sendable {
        /// One bit for each option.
        public let rawValue: Int

        /// Makes options from their bits.
        public init(rawValue: Int) {
            self.rawValue = rawValue
        }

        /// Bob also knows Alice's endpoint.
        public static let mutualEndpoints = Options(rawValue: 1)
        /// Both have a preshared key.
        public static let presharedKey = Options(rawValue: 2)
    }

    init(in network: Network, _ options: Options) {
        self.network = network
        alice = network.addHost("Alice", at: Self.address(192, 0, 2, 1, port: 51820))
        bob = network.addHost("Bob", at: Self.address(198, 51, 100, 2, port: 51821))
        let presharedKey =
            options.contains(.presharedKey) ? [UInt8](repeating: 0x5A, count: 32) : nil
        alice.addPeer(
            bob.publicKey, allowedIPs: ["10.0.0.2/32", "fd00::2/128"], endpoint: bob.address,
            presharedKey: presharedKey)
        bob.addPeer(
            alice.publicKey, allowedIPs: ["10.0.0.1/32", "fd00::1/128"],
            endpoint: options.contains(.mutualEndpoints) ? alice.address : nil,
            presharedKey: presharedKey)
    }

    /// An IPv4 socket address.
    public static func address(
        _ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8, port: UInt16
    ) -> SocketAddress {
        let bits = [a, b, c, d].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        return SocketAddress(address: .v4(IPv4Address(bits: bits)), port: port)
    }

    /// Establishes a session by sending a packet from Alice to Bob.
    public func connect() {
        alice.send(InnerPacket.udp4(from: 1, to: 2))
        network.settle()
        precondition(!bob.received.isEmpty, "no session was established")
        bob.received = []
    }
}
