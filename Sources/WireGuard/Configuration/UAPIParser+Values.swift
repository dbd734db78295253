import Packets
import WireGuardCrypto

extension ConfigurationError.Key {
    /// The key with this name. Compares bytes, because a set may have a million lines; the most
    /// frequent key comes first.
    init?(parsing name: RawSpan) {
        if name.equals("allowed_ip") {
            self = .allowedIP
        } else if name.equals("public_key") {
            self = .publicKey
        } else if name.equals("endpoint") {
            self = .endpoint
        } else if name.equals("preshared_key") {
            self = .presharedKey
        } else if name.equals("persistent_keepalive_interval") {
            self = .persistentKeepalive
        } else if name.equals("replace_allowed_ips") {
            self = .replaceAllowedIPs
        } else if name.equals("remove") {
            self = .remove
        } else if name.equals("update_only") {
            self = .updateOnly
        } else if name.equals("protocol_version") {
            self = .protocolVersion
        } else if name.equals("private_key") {
            self = .privateKey
        } else if name.equals("listen_port") {
            self = .listenPort
        } else if name.equals("fwmark") {
            self = .firewallMark
        } else if name.equals("replace_peers") {
            self = .replacePeers
        } else if name.equals("wipe_sessions") {
            self = .wipeSessions
        } else {
            return nil
        }
    }
}

extension PrivateKeyChange {
    /// Parses 64 hexadecimal digits; nil if `digits` is anything else. Zeros clear the key.
    init?(hexadecimal digits: RawSpan) {
        guard let bytes = Secret32(hexadecimal: digits) else { return nil }
        // Check before clamping, which turns zeros into a valid key.
        if bytes.isZero {
            self = .cleared
        } else {
            self = .set(PrivateKey(clamping: bytes))
        }
    }
}

extension FixedWidthInteger where Self: UnsignedInteger {
    /// Parses decimal digits; nil if `text` is anything else or the number does not fit.
    init?(decimal text: RawSpan) {
        self.init(parsing: text, in: 0..<text.byteCount)
    }
}

extension RawSpan {
    /// The offset of the first `byte` at or after `start`.
    func firstOffset(of byte: UInt8, from start: Int) -> Int? {
        var offset = start
        while offset < byteCount {
            if self.byte(at: offset) == byte { return offset }
            offset += 1
        }
        return nil
    }

    /// Whether the bytes are the UTF-8 bytes of `text`.
    func equals(_ text: StaticString) -> Bool {
        guard byteCount == text.utf8CodeUnitCount else { return false }
        return text.withUTF8Buffer { text in
            for offset in 0..<byteCount where unsafe text[offset] != byte(at: offset) {
                return false
            }
            return true
        }
    }
}
