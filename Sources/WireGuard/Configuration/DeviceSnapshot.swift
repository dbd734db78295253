import Packets
import WireGuardCrypto

/// The configuration of a device at one moment, its peers apart.
public struct DeviceSnapshot: ~Copyable, Sendable {
    /// The private key, if it has one.
    public var privateKey: PrivateKey?
    /// The UDP port that it listens on, 0 for none yet.
    public var listenPort: UInt16 = 0
    /// The mark of outgoing packets, 0 for none.
    public var firewallMark: UInt32 = 0

    /// Makes the snapshot of a device that nothing is known of.
    public init() {}
}

/// The configuration and the counters of a peer at one moment, its allowed IPs apart.
public struct PeerSnapshot: ~Copyable, Sendable {
    /// Who it is.
    public var publicKey: PublicKey
    /// The preshared key, zeros for none.
    public var presharedKey = PresharedKey()
    /// Where it is, if that is known.
    public var endpoint: SocketAddress?
    /// When the last handshake was complete; nil for never.
    public var lastHandshake: WallTime?
    /// The bytes sent to it.
    public var txBytes: UInt64 = 0
    /// The bytes received from it.
    public var rxBytes: UInt64 = 0
    /// Seconds between persistent keepalives, 0 for none.
    public var persistentKeepalive: UInt16 = 0

    /// Makes the snapshot of a peer of which nothing more is known.
    public init(publicKey: PublicKey) {
        self.publicKey = publicKey
    }
}
