import Packets
import WireGuardCrypto

/// What a set asks for: a value that is whole and checked before anything is applied.
///
/// It is laid out flat, because one set may name a hundred thousand prefixes: the prefixes of all
/// peers are one array, of which each peer has a range. Keys are in locked memory from the moment
/// they are read, and wiped when the value ends.
public struct ConfigurationChange: ~Copyable, Sendable {
    /// What becomes of the private key.
    public var privateKey = PrivateKeyChange.unchanged
    /// The UDP port to listen on, 0 for any; nil leaves it.
    public var listenPort: UInt16?
    /// The mark of outgoing packets, 0 for none; nil leaves it.
    public var firewallMark: UInt32?
    /// Whether all peers are removed first, the ones that are named here too.
    public var replacesPeers = false
    /// The peers, in the order in which they are to be applied; one may come more than once.
    public private(set) var peers: [PeerChange] = []

    private var allAllowedIPs: [AllowedIPChange] = []
    private var presharedKeys = PresharedKeyList()

    /// A change of nothing.
    public init() {}

    /// The prefixes that a peer gets or loses, in order.
    public func allowedIPs(of peer: PeerChange) -> ArraySlice<AllowedIPChange> {
        allAllowedIPs[peer.allowedIPs]
    }

    /// A copy of the preshared key that a peer gets, zeros if it is to have none; nil leaves it.
    public func presharedKey(of peer: PeerChange) -> PresharedKey? {
        peer.presharedKeyIndex.map { presharedKeys.copy(at: Int($0)) }
    }

    /// The number of prefixes of all peers.
    public var allowedIPCount: Int { allAllowedIPs.count }

    /// Opens a change of a peer, which the following calls are about.
    public mutating func addPeer(_ publicKey: PublicKey) {
        peers.append(
            PeerChange(
                publicKey: publicKey, allowedIPs: allAllowedIPs.count..<allAllowedIPs.count))
    }

    /// Changes values of the last peer.
    public mutating func withLastPeer(_ body: (inout PeerChange) -> Void) {
        guard !peers.isEmpty else { return }
        body(&peers[peers.count - 1])
    }

    /// Gives the last peer a preshared key; zeros take away the one that it has.
    public mutating func setPresharedKey(_ key: consuming PresharedKey) {
        guard let last = peers.indices.last else { return }
        if let index = peers[last].presharedKeyIndex {
            presharedKeys.replace(at: Int(index), with: key)
        } else {
            peers[last].presharedKeyIndex = UInt32(presharedKeys.count)
            presharedKeys.append(key)
        }
    }

    /// Gives a prefix to the last peer, or takes it away.
    public mutating func addAllowedIP(_ prefix: IPPrefix, _ action: AllowedIPChange.Action) {
        guard let last = peers.indices.last else { return }
        allAllowedIPs.append(AllowedIPChange(prefix: prefix, action: action))
        peers[last].allowedIPs = peers[last].allowedIPs.lowerBound..<allAllowedIPs.count
    }

    /// Takes all prefixes away from the last peer, those that this change gave it so far included.
    public mutating func replaceAllowedIPs() {
        guard let last = peers.indices.last else { return }
        allAllowedIPs.removeSubrange(peers[last].allowedIPs)
        peers[last].allowedIPs = allAllowedIPs.count..<allAllowedIPs.count
        peers[last].replacesAllowedIPs = true
    }
}

/// What becomes of the private key of a device.
public enum PrivateKeyChange: ~Copyable, Sendable {
    /// It stays.
    case unchanged
    /// The device has none from now on.
    case cleared
    /// A key, which may be the present one.
    case set(PrivateKey)
}

/// What becomes of one peer.
public struct PeerChange: Sendable {
    /// Who it is.
    public let publicKey: PublicKey
    /// Whether it is made, changed or removed.
    public var action = Action.createOrUpdate
    /// Where it is; nil leaves that.
    public var endpoint: SocketAddress?
    /// Seconds between persistent keepalives, 0 for none; nil leaves it.
    public var persistentKeepalive: UInt16?
    /// Whether its prefixes are taken away before it gets those of this change.
    public fileprivate(set) var replacesAllowedIPs = false

    fileprivate var allowedIPs: Range<Int>
    fileprivate var presharedKeyIndex: UInt32?

    fileprivate init(publicKey: PublicKey, allowedIPs: Range<Int>) {
        self.publicKey = publicKey
        self.allowedIPs = allowedIPs
    }

    /// What is done with the peer.
    public enum Action: Sendable {
        /// It is made if it is unknown, else changed.
        case createOrUpdate
        /// It is changed; if it is unknown, nothing happens.
        case updateOnly
        /// It is removed, whatever else the change says; if it is unknown, nothing happens.
        case remove
    }
}

/// What becomes of one prefix of a peer.
public struct AllowedIPChange: Hashable, Sendable {
    /// The prefix.
    public var prefix: IPPrefix
    /// Whether the peer gets it or loses it.
    public var action: Action

    /// Makes a change of one prefix.
    public init(prefix: IPPrefix, action: Action) {
        self.prefix = prefix
        self.action = action
    }

    /// What is done with the prefix.
    public enum Action: Sendable {
        /// The peer gets it, whoever has it now.
        case add
        /// The peer loses it, if it has it.
        case remove
    }
}
