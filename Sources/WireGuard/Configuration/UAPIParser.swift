import Packets
import WireGuardCrypto

/// Reads one side of a UAPI connection, whatever the pieces in which it arrives.
///
///     get=1                                     set=1
///     (blank)         ▶ .get                    private_key=…, listen_port=…, …
///                                               public_key=…          opens a peer
///                                               allowed_ip=…, …
///                                               (blank)  ▶ .set or .failed
///
/// Dialogues follow each other on one connection. Nothing comes of a dialogue before its blank line:
/// a set is whole and checked by then, and a client that is still writing is not answered. Blank
/// lines before a dialogue are skipped.
///
/// A line is at most ``maximumLineLength`` bytes, and a set names at most ``maximumPeerCount`` peers
/// and ``maximumAllowedIPCount`` prefixes; after the first error of a dialogue nothing more is kept.
public struct UAPIParser: ~Copyable, Sendable {
    /// The start of a line whose end has not arrived.
    private var line = WipedText()
    private var dialogue = Dialogue.none
    /// What the lines so far ask for.
    private var change = ConfigurationChange()
    private var isOverlong = false

    private enum Dialogue {
        case none
        case get
        case set
        /// Reads on to the blank line, only to fail.
        case failing(errno: Int32)
    }

    /// Makes a parser at the start of a connection.
    public init() {}

    /// Reads on, up to the end of a dialogue.
    ///
    /// - Parameters:
    ///   - bytes: what the client sent.
    ///   - offset: where to read; set behind what was read.
    ///   - resolveScope: gives the index of the interface with a name, for `endpoint=[…%name]:…`.
    /// - Returns: a dialogue that is complete, or nil if all bytes were read without one. Call again
    ///   until it is nil.
    public mutating func read(
        _ bytes: RawSpan, from offset: inout Int, resolveScope: (String) -> UInt32?
    ) -> UAPIRequest? {
        while !isOverlong, offset < bytes.byteCount {
            let start = offset
            let end = bytes.firstOffset(of: .newline, from: start)
            let piece = start..<(end ?? bytes.byteCount)
            guard line.byteCount + piece.count <= Self.maximumLineLength else {
                isOverlong = true
                line.removeAll()
                change = ConfigurationChange()
                return .lineTooLong
            }
            offset = piece.upperBound
            guard end != nil else {
                line.append(bytes.extracting(piece))
                return nil
            }
            offset += 1
            if let request = readLine(endingWith: bytes.extracting(piece), resolveScope) {
                return request
            }
        }
        offset = max(offset, bytes.byteCount)
        return nil
    }

    /// The longest line, without its end: thrice what any value needs.
    public static let maximumLineLength = 1024
    /// The most peers in one set.
    public static let maximumPeerCount = 1 << 20
    /// The most prefixes in one set.
    public static let maximumAllowedIPCount = 1 << 22
}

/// A dialogue that a client has completed.
public enum UAPIRequest: ~Copyable, Sendable {
    /// It wants to know the configuration.
    case get
    /// It wants to change the configuration.
    case set(ConfigurationChange)
    /// It asks for what cannot be: the answer is this errno, positive for a get and negative for
    /// anything else, and nothing has changed.
    case failed(errno: Int32)
    /// It sent a line beyond all measure: the answer may be EINVAL (-22), and then the connection is
    /// to be closed. The parser reads nothing more.
    case lineTooLong
}

/// Why a line of a set is refused, as a number of errno(3).
enum UAPIError: Int32, Error {
    /// EINVAL: a key that there is not, not here, or not with this value.
    case invalid = 22
    /// EPROTO: no line of a set.
    case malformed = 71
    /// E2BIG: more peers or prefixes than anybody has.
    case tooMany = 7
}

extension UAPIParser {
    /// Reads the line that `piece` is the rest of.
    private mutating func readLine(
        endingWith piece: RawSpan, _ resolveScope: (String) -> UInt32?
    ) -> UAPIRequest? {
        // As a rule a line arrives in one piece, and is read where it is.
        guard line.byteCount > 0 else { return readLine(piece, resolveScope) }
        line.append(piece)
        var whole = WipedText()
        swap(&line, &whole)
        let request = readLine(whole.bytes, resolveScope)
        whole.removeAll()
        swap(&line, &whole)
        return request
    }

    /// Reads a line without its end.
    private mutating func readLine(
        _ text: RawSpan, _ resolveScope: (String) -> UInt32?
    ) -> UAPIRequest? {
        var end = text.byteCount
        if end > 0, text.byte(at: end - 1) == .carriageReturn { end -= 1 }
        let line = text.extracting(0..<end)
        guard !line.isEmpty else { return endDialogue() }
        switch dialogue {
        case .none:
            dialogue = Self.firstLine(line)
        case .get:
            // A get has no lines.
            dialogue = .failing(errno: UAPIError.invalid.rawValue)
        case .set:
            do throws(UAPIError) {
                try readSetLine(line, resolveScope)
            } catch {
                dialogue = .failing(errno: -error.rawValue)
                change = ConfigurationChange()
            }
        case .failing:
            break
        }
        return nil
    }

    private mutating func endDialogue() -> UAPIRequest? {
        let ended = dialogue
        dialogue = .none
        switch ended {
        case .none:
            return nil
        case .get:
            return .get
        case .set:
            var whole = ConfigurationChange()
            swap(&change, &whole)
            return .set(whole)
        case .failing(let errno):
            return .failed(errno: errno)
        }
    }

    private static func firstLine(_ line: RawSpan) -> Dialogue {
        if line.equals("get=1") { return .get }
        if line.equals("set=1") { return .set }
        let isGet = line.byteCount >= 4 && line.extracting(0..<4).equals("get=")
        let errno = UAPIError.invalid.rawValue
        return .failing(errno: isGet ? errno : -errno)
    }

    private mutating func readSetLine(
        _ line: RawSpan, _ resolveScope: (String) -> UInt32?
    ) throws(UAPIError) {
        guard let equals = line.firstOffset(of: UInt8(ascii: "="), from: 0) else {
            throw .malformed
        }
        let key = line.extracting(0..<equals)
        let value = line.extracting((equals + 1)..<line.byteCount)
        if key.equals("public_key") {
            guard change.peers.count < Self.maximumPeerCount else { throw .tooMany }
            change.addPeer(try Self.publicKey(value))
        } else if change.peers.isEmpty {
            try readDeviceLine(key, value)
        } else {
            try readPeerLine(key, value, resolveScope)
        }
    }

    private mutating func readDeviceLine(
        _ key: RawSpan, _ value: RawSpan
    ) throws(UAPIError) {
        if key.equals("private_key") {
            change.privateKey = try Self.privateKey(value)
        } else if key.equals("listen_port") {
            change.listenPort = try Self.number(value)
        } else if key.equals("fwmark") {
            change.firewallMark = try Self.number(value)
        } else if key.equals("replace_peers") {
            try Self.require(value, "true")
            change.replacesPeers = true
        } else {
            throw .invalid
        }
    }

    private mutating func readPeerLine(
        _ key: RawSpan, _ value: RawSpan, _ resolveScope: (String) -> UInt32?
    ) throws(UAPIError) {
        if key.equals("allowed_ip") {
            try readAllowedIP(value)
        } else if key.equals("endpoint") {
            guard let endpoint = SocketAddress(parsing: value, resolveScope: resolveScope) else {
                throw .invalid
            }
            change.withLastPeer { $0.endpoint = endpoint }
        } else if key.equals("preshared_key") {
            change.setPresharedKey(try Self.presharedKey(value))
        } else if key.equals("persistent_keepalive_interval") {
            let interval: UInt16 = try Self.number(value)
            change.withLastPeer { $0.persistentKeepalive = interval }
        } else if key.equals("replace_allowed_ips") {
            try Self.require(value, "true")
            change.replaceAllowedIPs()
        } else if key.equals("remove") {
            try Self.require(value, "true")
            change.withLastPeer { $0.action = .remove }
        } else if key.equals("update_only") {
            try Self.require(value, "true")
            change.withLastPeer { if $0.action != .remove { $0.action = .updateOnly } }
        } else if key.equals("protocol_version") {
            try Self.require(value, "1")
        } else {
            throw .invalid
        }
    }

    private mutating func readAllowedIP(_ value: RawSpan) throws(UAPIError) {
        let isRemoval = !value.isEmpty && value.byte(at: 0) == UInt8(ascii: "-")
        let text = value.extracting((isRemoval ? 1 : 0)..<value.byteCount)
        guard let prefix = IPPrefix(parsing: text) else { throw .invalid }
        guard change.allowedIPCount < Self.maximumAllowedIPCount else { throw .tooMany }
        change.addAllowedIP(prefix, isRemoval ? .remove : .add)
    }
}
