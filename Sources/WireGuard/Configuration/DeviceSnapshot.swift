import Packets
import WireGuardCrypto

/// The configuration of a device at one moment, without its peers.
public struct DeviceSnapshot: ~Copyable, Sendable {
    /// The private key; nil for none.
    public var privateKey: PrivateKey?
    /// The UDP port that it listens on; 0 before it has one.
    public var listenPort: UInt16 = 0
    /// The mark of outgoing datagrams, 0 for none.
    public var firewallMark: UInt32 = 0

    /// Makes a snapshot without settings.
    public init() {}
}

/// The configuration and the counters of a peer at one moment, without its allowed IPs.
public struct PeerSnapshot: ~Copyable, Sendable {
    /// The public key that identifies the peer.
    public var publicKey: PublicKey
    /// The preshared key, zeros for none.
    public var presharedKey = PresharedKey()
    /// The address and port of the peer; nil if unknown.
    public var endpoint: SocketAddress?
    /// When the last handshake completed; nil for never.
    public var lastHandshake: WallTime?
    /// The bytes sent to the peer.
    public var txBytes: UInt64 = 0
    /// The bytes received from the peer.
    public var rxBytes: UInt64 = 0
    /// The interval between persistent keepalives in seconds, 0 for none.
    public var persistentKeepalive: UInt16 = 0

    /// Makes a snapshot of a peer without settings and counters.
    public init(publicKey: PublicKey) {
        self.publicKey = publicKey
    }
}
