import WireGuard
import WireGuardCrypto

/// A peer with prepared initiations, which it sends to hosts that have not received them before.
final class Visitor {
    private let key: PrivateKey
    private let publicKey: PublicKey
    private let hostKey: PrivateKey
    private var initiations: [[UInt8]] = []

    private static let address = SocketAddress(
        address: .v4(IPv4Address(bits: 0x0A00_0001)), port: 1)

    init(initiations count: Int) {
        var random = SystemRandom()
        key = PrivateKey(random: &random)
        publicKey = key.publicKey
        hostKey = PrivateKey(random: &random)
        let tunnel = Self.makeTunnel(key, peer: hostKey.publicKey)
        let packet: [UInt8] = [0x45, 0, 0, 20, 0, 0, 0, 0, 64, 59, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]
        // A peer without an answer initiates every 5 s plus jitter.
        for index in 0..<count {
            tunnel.handlePacket(packet, now: Self.time(seconds: UInt64(index) * 6))
            while let datagram = tunnel.nextDatagram() { initiations.append(datagram.bytes) }
        }
        precondition(initiations.count == count)
    }

    /// Returns a host that has the visitor as a peer and has received nothing yet.
    func makeHost() -> Tunnel {
        Self.makeTunnel(hostKey, peer: key.publicKey)
    }

    /// Passes an initiation to the host. Returns the length of the response.
    func call(_ host: Tunnel, _ index: Int) -> Int {
        host.handleDatagram(
            initiations[index], from: Self.address, now: Self.time(seconds: UInt64(index) * 6))
        guard let response = host.nextDatagram() else { preconditionFailure("no response") }
        return response.bytes.count
    }

    /// Only the scalar multiplications of `call`: es, ee, se, and the one for the host's ephemeral key.
    ///
    /// No implementation can avoid these. The static-static secret is computed once per peer.
    func multiply() -> Int {
        var random = SystemRandom()
        let ephemeral = PrivateKey(random: &random)
        var zeroes = 0
        for key in [publicKey, publicKey, publicKey] {
            guard let shared = try? Curve25519.sharedSecret(hostKey, key) else { continue }
            zeroes += shared.isZero ? 1 : 0
        }
        return zeroes + (ephemeral.publicKey.isZero ? 1 : 0)
    }

    private static func time(seconds: UInt64) -> Moment {
        Moment(
            instant: ObservedInstant(nanoseconds: (seconds + 1) * 1_000_000_000),
            wall: WallTime(seconds: 1_800_000_000 + Int64(seconds), nanoseconds: 0))
    }

    private static func makeTunnel(_ key: borrowing PrivateKey, peer: PublicKey) -> Tunnel {
        var change = ConfigurationChange()
        change.privateKey = .set(key.copy())
        change.addPeer(peer)
        change.withLastPeer { $0.endpoint = address }
        if let everything = IPPrefix(.v4(IPv4Address(bits: 0)), length: 0) {
            change.addAllowedIP(everything, .add)
        }
        let tunnel = Tunnel()
        guard (try? tunnel.configure(change, now: time(seconds: 0))) != nil else {
            preconditionFailure("the tunnel rejects the configuration")
        }
        tunnel.bringUp(now: time(seconds: 0))
        return tunnel
    }
}
