/// Why a configuration request is refused. A refused request changes nothing.
///
/// Errors name lines and keys but never contain text of the request, which may be a secret.
public enum ConfigurationError: Error, Hashable, Sendable {
    /// The first line is neither `get=1` nor `set=1`.
    case unknownRequest
    /// A line has no `=`.
    case malformedLine(line: Int)
    /// The key of a line is unknown, or not valid at this point of the request.
    case unknownKey(line: Int)
    /// The value of a line is not valid for its key.
    case invalidValue(line: Int, key: Key)
    /// A line follows where the request must end: a get has one line, and a blank line ends a set.
    case unexpectedLine(line: Int)
    /// A line is longer than ``UAPIParser/maximumLineLength`` bytes.
    case lineTooLong(line: Int)
    /// The device would have more than 2^20 peers, or one set names more.
    case tooManyPeers
    /// One set names more than 2^22 prefixes.
    case tooManyAllowedIPs
    /// The operating system refuses a port or a mark.
    ///
    /// - Parameter code: its error number, positive.
    case refusedBySystem(code: Int32)

    /// A key of the configuration protocol that a set accepts. The raw value is its name in a line.
    public enum Key: String, Hashable, Sendable, CaseIterable {
        /// The private key of the device.
        case privateKey = "private_key"
        /// The UDP port of the device.
        case listenPort = "listen_port"
        /// The mark of outgoing datagrams.
        case firewallMark = "fwmark"
        /// Wipes the keys of all sessions first. `wg` does not know this key.
        case wipeSessions = "wipe_sessions"
        /// Removes all peers first.
        case replacePeers = "replace_peers"
        /// Starts the lines of a peer.
        case publicKey = "public_key"
        /// Removes the peer.
        case remove = "remove"
        /// Ignores the peer if it does not exist.
        case updateOnly = "update_only"
        /// The preshared key of the peer.
        case presharedKey = "preshared_key"
        /// The address and port of the peer.
        case endpoint = "endpoint"
        /// The interval between persistent keepalives.
        case persistentKeepalive = "persistent_keepalive_interval"
        /// Removes the prefixes that the peer had.
        case replaceAllowedIPs = "replace_allowed_ips"
        /// A prefix of the peer.
        case allowedIP = "allowed_ip"
        /// The version of the WireGuard protocol: 1.
        case protocolVersion = "protocol_version"
    }
}

extension ConfigurationError: CustomStringConvertible {
    /// One line of English without a full stop: `line 3: invalid value of endpoint`.
    public var description: String {
        switch self {
        case .unknownRequest: "line 1: neither get=1 nor set=1"
        case .malformedLine(let line): "line \(line): no '=' found"
        case .unknownKey(let line): "line \(line): unknown or misplaced key"
        case .invalidValue(let line, let key): "line \(line): invalid value of \(key.rawValue)"
        case .unexpectedLine(let line): "line \(line): line after the end of the request"
        case .lineTooLong(let line):
            "line \(line): longer than \(UAPIParser.maximumLineLength) bytes"
        case .tooManyPeers: "more than \(UAPIParser.maximumPeerCount) peers"
        case .tooManyAllowedIPs: "more than \(UAPIParser.maximumAllowedIPCount) allowed IPs"
        case .refusedBySystem(let code): "refused by the operating system, error \(code)"
        }
    }
}
