import Packets
import WireGuardCrypto

/// The changes that a set asks for. It is complete and checked before any of it is applied.
///
/// One set may name a hundred thousand prefixes, so one array holds the prefixes of all peers, and each
/// peer has a range of it. Keys are in locked memory from the moment they are parsed, and are wiped at
/// the end of the value's lifetime.
public struct ConfigurationChange: ~Copyable, Sendable {
    /// The change of the private key.
    public var privateKey = PrivateKeyChange.unchanged
    /// The UDP port to listen on, 0 for any free one; nil for no change.
    public var listenPort: UInt16?
    /// The mark of outgoing datagrams, 0 for none; nil for no change.
    public var firewallMark: UInt32?
    /// Whether to wipe the keys of all sessions first, see ``Tunnel/wipeSessions()``.
    public var wipesSessions = false
    /// Whether to remove all peers first, including those named here.
    public var replacesPeers = false
    /// The changes of peers, in the order in which they apply. A peer may occur more than once.
    public private(set) var peers: [PeerChange] = []

    private var allAllowedIPs: [AllowedIPChange] = []
    private var presharedKeys = PresharedKeyList()

    /// Makes a change that changes nothing.
    public init() {}

    /// The prefixes that a peer gains or loses, in order.
    public func allowedIPs(of peer: PeerChange) -> ArraySlice<AllowedIPChange> {
        allAllowedIPs[peer.allowedIPs]
    }

    /// A copy of the new preshared key of a peer, zeros to remove it; nil for no change.
    public func presharedKey(of peer: PeerChange) -> PresharedKey? {
        peer.presharedKeyIndex.map { presharedKeys.copy(at: Int($0)) }
    }

    /// The number of prefixes of all peers.
    public var allowedIPCount: Int { allAllowedIPs.count }

    /// Adds a change of a peer. The methods below apply to the peer that was added last.
    public mutating func addPeer(_ publicKey: PublicKey) {
        peers.append(
            PeerChange(
                publicKey: publicKey, allowedIPs: allAllowedIPs.count..<allAllowedIPs.count))
    }

    /// Calls `body` with the last peer; does nothing if there is none.
    public mutating func withLastPeer(_ body: (inout PeerChange) -> Void) {
        guard !peers.isEmpty else { return }
        body(&peers[peers.count - 1])
    }

    /// Sets the preshared key of the last peer; zeros remove it.
    public mutating func setPresharedKey(_ key: consuming PresharedKey) {
        guard let last = peers.indices.last else { return }
        if let index = peers[last].presharedKeyIndex {
            presharedKeys.replace(at: Int(index), with: key)
        } else {
            peers[last].presharedKeyIndex = UInt32(presharedKeys.count)
            presharedKeys.append(key)
        }
    }

    /// Adds a prefix to the last peer, or removes it.
    public mutating func addAllowedIP(_ prefix: IPPrefix, _ action: AllowedIPChange.Action) {
        guard let last = peers.indices.last else { return }
        allAllowedIPs.append(AllowedIPChange(prefix: prefix, action: action))
        peers[last].allowedIPs = peers[last].allowedIPs.lowerBound..<allAllowedIPs.count
    }

    /// Removes all prefixes of the last peer, including those that this change has added so far.
    public mutating func replaceAllowedIPs() {
        guard let last = peers.indices.last else { return }
        allAllowedIPs.removeSubrange(peers[last].allowedIPs)
        peers[last].allowedIPs = allAllowedIPs.count..<allAllowedIPs.count
        peers[last].replacesAllowedIPs = true
    }
}

/// A change of the private key of a device.
public enum PrivateKeyChange: ~Copyable, Sendable {
    /// No change.
    case unchanged
    /// Removes the key.
    case cleared
    /// Sets a key, which may be the present one.
    case set(PrivateKey)
}

/// A change of one peer.
public struct PeerChange: Sendable {
    /// The public key that identifies the peer.
    public let publicKey: PublicKey
    /// Whether to create, change or remove the peer.
    public var action = Action.createOrUpdate
    /// The new endpoint; nil for no change.
    public var endpoint: SocketAddress?
    /// The interval between persistent keepalives in seconds, 0 for none; nil for no change.
    public var persistentKeepalive: UInt16?
    /// Whether to remove the prefixes of the peer before adding those of this change.
    public fileprivate(set) var replacesAllowedIPs = false

    fileprivate var allowedIPs: Range<Int>
    fileprivate var presharedKeyIndex: UInt32?

    fileprivate init(publicKey: PublicKey, allowedIPs: Range<Int>) {
        self.publicKey = publicKey
        self.allowedIPs = allowedIPs
    }

    /// What to do with a peer.
    public enum Action: Sendable {
        /// Changes the peer. Creates it first if it does not exist.
        case createOrUpdate
        /// Changes the peer if it exists.
        case updateOnly
        /// Removes the peer if it exists, and ignores the rest of the change.
        case remove
    }
}

/// A change of one prefix of a peer.
public struct AllowedIPChange: Hashable, Sendable {
    /// The prefix.
    public var prefix: IPPrefix
    /// Whether the peer gains or loses the prefix.
    public var action: Action

    /// Makes a change of one prefix.
    public init(prefix: IPPrefix, action: Action) {
        self.prefix = prefix
        self.action = action
    }

    /// What to do with a prefix.
    public enum Action: Sendable {
        /// Gives the prefix to the peer, and takes it from another peer that has it.
        case add
        /// Removes the prefix if the peer has it.
        case remove
    }
}
