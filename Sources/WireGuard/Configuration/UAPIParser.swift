import Packets
import WireGuardCrypto

/// Parses the requests that a client of the configuration protocol sends, in pieces of any size.
///
///     get=1                                     set=1
///     (blank)         ▶ .get                    private_key=…, listen_port=…, …
///                                               public_key=…          starts a peer
///                                               allowed_ip=…, …
///                                               (blank)  ▶ .set or .failed
///
/// One connection may carry several requests. A request has no effect before its blank line: only
/// then is a set complete and checked, and only then is the client answered. Blank lines before a
/// request are skipped.
///
/// A line has at most ``maximumLineLength`` bytes. A set names at most ``maximumPeerCount`` peers and
/// ``maximumAllowedIPCount`` prefixes. After the first error in a request the parser keeps nothing of
/// it.
public struct UAPIParser: ~Copyable, Sendable {
    /// The start of a line whose end has not arrived.
    private var line = WipedText()
    /// The lines of the current request so far.
    private var lineCount = 0
    private var state: State
    /// What the lines so far ask for.
    private var change = ConfigurationChange()
    private var isOverlong = false

    private enum State {
        /// Before the first line of a request.
        case idle
        case get
        case set
        /// Discards lines up to the blank line, then reports the error.
        case failed(ConfigurationError, UAPIRequest.Kind)
    }

    /// Makes a parser at the start of a connection.
    public init() {
        state = .idle
    }

    /// Makes a parser of a set without its first line, `set=1`.
    init(insideSet: Void) {
        state = .set
    }

    /// Whether no request has begun since the last one. Blank lines begin none.
    package var isBetweenRequests: Bool {
        guard case .idle = state else { return false }
        return line.byteCount == 0
    }

    /// Parses up to the end of the next request.
    ///
    /// - Parameters:
    ///   - bytes: the bytes from the client.
    ///   - offset: where to start; the parser advances it past what it has read.
    ///   - resolveScope: returns the index of the named interface, for `endpoint=[…%name]:…`.
    /// - Returns: a complete request, or nil once all bytes are read without one. Call again until it
    ///   returns nil.
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
                return .failed(.lineTooLong(line: lineCount + 1), of: .set)
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

    /// The most bytes of a line without its end: three times what any value needs.
    public static let maximumLineLength = 1024
    /// The most peers in one set.
    public static let maximumPeerCount = Constants.maximumPeers
    /// The most prefixes in one set.
    public static let maximumAllowedIPCount = 1 << 22
}

/// A complete request of a client.
public enum UAPIRequest: ~Copyable, Sendable {
    /// Asks for the configuration.
    case get
    /// Changes the configuration.
    case set(ConfigurationChange)
    /// Cannot be served: answer with ``UAPIWriter/finish(_:of:)``. After
    /// ``ConfigurationError/lineTooLong(line:)`` the parser reads nothing more, so close the
    /// connection once the answer is sent.
    case failed(ConfigurationError, of: Kind)

    /// What the client asked for.
    public enum Kind: Hashable, Sendable {
        /// The first line starts with `get=`.
        case get
        /// Any other request.
        case set
    }
}

extension UAPIParser {
    /// Reads the line that ends with `piece`.
    private mutating func readLine(
        endingWith piece: RawSpan, _ resolveScope: (String) -> UInt32?
    ) -> UAPIRequest? {
        // Most lines arrive in one piece and are parsed in place.
        guard line.byteCount > 0 else { return readLine(piece, resolveScope) }
        line.append(piece)
        var whole = WipedText()
        swap(&line, &whole)
        let request = readLine(whole.bytes, resolveScope)
        whole.removeAll()
        swap(&line, &whole)
        return request
    }

    /// Reads a line without its newline.
    private mutating func readLine(
        _ text: RawSpan, _ resolveScope: (String) -> UInt32?
    ) -> UAPIRequest? {
        var end = text.byteCount
        if end > 0, text.byte(at: end - 1) == .carriageReturn { end -= 1 }
        let line = text.extracting(0..<end)
        guard !line.isEmpty else { return endRequest() }
        lineCount += 1
        switch state {
        case .idle:
            state = Self.firstLine(line)
        case .get:
            state = .failed(.unexpectedLine(line: lineCount), .get)
        case .set:
            do throws(ConfigurationError) {
                try readSetLine(line, resolveScope)
            } catch {
                state = .failed(error, .set)
                change = ConfigurationChange()
            }
        case .failed:
            break
        }
        return nil
    }

    private mutating func endRequest() -> UAPIRequest? {
        let ended = state
        state = .idle
        lineCount = 0
        switch ended {
        case .idle:
            return nil
        case .get:
            return .get
        case .set:
            var whole = ConfigurationChange()
            swap(&change, &whole)
            return .set(whole)
        case .failed(let error, let kind):
            return .failed(error, of: kind)
        }
    }

    private static func firstLine(_ line: RawSpan) -> State {
        if line.equals("get=1") { return .get }
        if line.equals("set=1") { return .set }
        let isGet = line.byteCount >= 4 && line.extracting(0..<4).equals("get=")
        return .failed(.unknownRequest, isGet ? .get : .set)
    }

    private mutating func readSetLine(
        _ line: RawSpan, _ resolveScope: (String) -> UInt32?
    ) throws(ConfigurationError) {
        guard let equals = line.firstOffset(of: UInt8(ascii: "="), from: 0) else {
            throw .malformedLine(line: lineCount)
        }
        guard let key = ConfigurationError.Key(parsing: line.extracting(0..<equals)) else {
            throw .unknownKey(line: lineCount)
        }
        let value = line.extracting((equals + 1)..<line.byteCount)
        if key == .publicKey {
            guard change.peers.count < Self.maximumPeerCount else { throw .tooManyPeers }
            change.addPeer(try valid(PublicKey(hexadecimal: value), key))
        } else if change.peers.isEmpty {
            try readDeviceLine(key, value)
        } else {
            try readPeerLine(key, value, resolveScope)
        }
    }

    private mutating func readDeviceLine(
        _ key: ConfigurationError.Key, _ value: RawSpan
    ) throws(ConfigurationError) {
        switch key {
        case .privateKey:
            guard let privateKey = PrivateKeyChange(hexadecimal: value) else { throw invalid(key) }
            change.privateKey = privateKey
        case .listenPort:
            change.listenPort = try valid(UInt16(decimal: value), key)
        case .firewallMark:
            change.firewallMark = try valid(UInt32(decimal: value), key)
        case .replacePeers:
            try require("true", value, key)
            change.replacesPeers = true
        case .wipeSessions:
            try require("true", value, key)
            change.wipesSessions = true
        default:
            throw .unknownKey(line: lineCount)
        }
    }

    private mutating func readPeerLine(
        _ key: ConfigurationError.Key, _ value: RawSpan, _ resolveScope: (String) -> UInt32?
    ) throws(ConfigurationError) {
        switch key {
        case .allowedIP:
            try readAllowedIP(value)
        case .endpoint:
            let endpoint = SocketAddress(parsing: value, resolveScope: resolveScope)
            let address = try valid(endpoint, key)
            change.withLastPeer { $0.endpoint = address }
        case .presharedKey:
            guard let presharedKey = PresharedKey(hexadecimal: value) else { throw invalid(key) }
            change.setPresharedKey(presharedKey)
        case .persistentKeepalive:
            let seconds = try valid(UInt16(decimal: value), key)
            change.withLastPeer { $0.persistentKeepalive = seconds }
        case .replaceAllowedIPs:
            try require("true", value, key)
            change.replaceAllowedIPs()
        case .remove:
            try require("true", value, key)
            change.withLastPeer { $0.action = .remove }
        case .updateOnly:
            try require("true", value, key)
            change.withLastPeer { if $0.action != .remove { $0.action = .updateOnly } }
        case .protocolVersion:
            try require("1", value, key)
        default:
            throw .unknownKey(line: lineCount)
        }
    }

    private mutating func readAllowedIP(_ value: RawSpan) throws(ConfigurationError) {
        let isRemoval = !value.isEmpty && value.byte(at: 0) == UInt8(ascii: "-")
        let text = value.extracting((isRemoval ? 1 : 0)..<value.byteCount)
        let prefix = try valid(IPPrefix(parsing: text), .allowedIP)
        guard change.allowedIPCount < Self.maximumAllowedIPCount else { throw .tooManyAllowedIPs }
        change.addAllowedIP(prefix, isRemoval ? .remove : .add)
    }

    private func invalid(_ key: ConfigurationError.Key) -> ConfigurationError {
        .invalidValue(line: lineCount, key: key)
    }

    private func valid<Value>(
        _ value: Value?, _ key: ConfigurationError.Key
    ) throws(ConfigurationError) -> Value {
        guard let value else { throw invalid(key) }
        return value
    }

    private func require(
        _ expected: StaticString, _ value: RawSpan, _ key: ConfigurationError.Key
    ) throws(ConfigurationError) {
        guard value.equals(expected) else { throw invalid(key) }
    }
}
