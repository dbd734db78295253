import Packets
import WireGuardCrypto

/// Writes the answers to `get=1` and `set=1`.
///
/// The answer to a get consists of the device, then each peer followed by its prefixes, then ``finish()``.
/// To limit memory, send what is written after each part and call ``removeAll()``.
public struct UAPIWriter: ~Copyable, Sendable {
    private var text = WipedText()

    /// Makes a writer that has written nothing.
    public init() {}

    /// The bytes written since the last ``removeAll()``. They may contain keys.
    public var bytes: RawSpan {
        @_lifetime(borrow self)
        get { text.bytes }
    }

    /// The number of ``bytes``.
    public var byteCount: Int { text.byteCount }

    /// Writes `private_key`, `listen_port` and `fwmark`, unless they are not set.
    public mutating func append(_ device: borrowing DeviceSnapshot) {
        switch device.privateKey {
        case .none: break
        case .some(let key):
            text.append("private_key=")
            text.append(hexadecimal: key.bytes)
            text.append(.newline)
        }
        if device.listenPort != 0 { appendLine("listen_port", UInt64(device.listenPort)) }
        if device.firewallMark != 0 { appendLine("fwmark", UInt64(device.firewallMark)) }
    }

    /// Writes `public_key` and the other lines of a peer, except its prefixes.
    public mutating func append(_ peer: borrowing PeerSnapshot) {
        text.append("public_key=")
        text.append(hexadecimal: peer.publicKey.bytes)
        text.append("\npreshared_key=")
        text.append(hexadecimal: peer.presharedKey.bytes)
        text.append("\nprotocol_version=1\n")
        if let endpoint = peer.endpoint {
            text.append("endpoint=")
            text.append(AddressText(endpoint).bytes)
            text.append(.newline)
        }
        let seconds = max(peer.lastHandshake?.seconds ?? 0, 0)
        appendLine("last_handshake_time_sec", UInt64(seconds))
        appendLine("last_handshake_time_nsec", UInt64(peer.lastHandshake?.nanoseconds ?? 0))
        appendLine("tx_bytes", peer.txBytes)
        appendLine("rx_bytes", peer.rxBytes)
        appendLine("persistent_keepalive_interval", UInt64(peer.persistentKeepalive))
    }

    /// Writes a prefix of the peer that was written last.
    public mutating func append(_ prefix: IPPrefix) {
        text.append("allowed_ip=")
        text.append(AddressText(prefix).bytes)
        text.append(.newline)
    }

    /// Writes a statistic that the protocol does not define. Clients ignore unknown keys.
    public mutating func append(statistic name: StaticString, _ value: UInt64) {
        appendLine(name, value)
    }

    /// Ends the answer to a request that was served: `errno=0`.
    public mutating func finish() {
        text.append("errno=0\n\n")
    }

    /// Ends the answer to a request that was refused: `errno=` and a number of errno(3), negative for a
    /// set and positive for a get.
    ///
    /// This is the only place where an error becomes such a number.
    public mutating func finish(_ error: ConfigurationError, of kind: UAPIRequest.Kind) {
        text.append(kind == .set ? "errno=-" : "errno=")
        text.append(decimal: UInt64(Self.errno(of: error).magnitude))
        text.append("\n\n")
    }

    private static func errno(of error: ConfigurationError) -> Int32 {
        switch error {
        case .unknownRequest, .unknownKey, .invalidValue, .unexpectedLine, .lineTooLong:
            22  // EINVAL
        case .malformedLine:
            71  // EPROTO
        case .tooManyPeers, .tooManyAllowedIPs:
            7  // E2BIG
        case .refusedBySystem(let code):
            code
        }
    }

    /// Wipes ``bytes``, and keeps the memory for reuse.
    public mutating func removeAll() {
        text.removeAll()
    }

    private mutating func appendLine(_ key: StaticString, _ value: UInt64) {
        text.append(key)
        text.append(UInt8(ascii: "="))
        text.append(decimal: value)
        text.append(.newline)
    }
}

extension UInt8 {
    static let newline = UInt8(ascii: "\n")
    static let carriageReturn = UInt8(ascii: "\r")
}
