// Keys as text: base64 as `wg` shows them, and hexadecimal as in the configuration protocol. Both
// forms are strict: exactly 44 characters or 64 digits, nothing before or after.

extension PublicKey: CustomStringConvertible {
    /// Decodes base64, such as `wg pubkey` prints; nil if `text` is anything else.
    public init?(base64 text: String) {
        self.init(base64: text.rawBytes)
    }

    /// Decodes base64; nil if `text` is anything else.
    public init?(base64 text: RawSpan) {
        var isValid = false
        self.init(Bytes32 { isValid = KeyText.decode(base64: text, into: &$0) })
        guard isValid else { return nil }
    }

    /// Decodes 64 hexadecimal digits of either case; nil if `text` is anything else.
    public init?(hexadecimal text: String) {
        self.init(hexadecimal: text.rawBytes)
    }

    /// Decodes 64 hexadecimal digits of either case; nil if `text` is anything else.
    public init?(hexadecimal text: RawSpan) {
        var isValid = false
        self.init(Bytes32 { isValid = KeyText.decode(hexadecimal: text, into: &$0) })
        guard isValid else { return nil }
    }

    /// The key as `wg` shows it: 44 characters of base64 (RFC 4648, section 4).
    public var base64: String { KeyText.base64(bytes) }

    /// The key as 64 lower-case hexadecimal digits.
    public var hexadecimal: String { KeyText.hexadecimal(bytes) }

    /// The key in base64.
    public var description: String { base64 }
}

extension PrivateKey {
    /// Decodes base64, such as `wg genkey` prints, in constant time and clamps the key; nil if `text`
    /// is anything else, or encodes zeros, which stand for no key.
    ///
    /// The string stays in the caller's memory. To be able to wipe the text, pass its bytes.
    public init?(base64 text: String) {
        self.init(base64: text.rawBytes)
    }

    /// Decodes base64 in constant time and clamps the key; nil if `text` is anything else, or encodes
    /// zeros.
    public init?(base64 text: RawSpan) {
        guard let secret = Secret32(base64: text), !secret.isZero else { return nil }
        self.init(clamping: secret)
    }

    /// Decodes 64 hexadecimal digits of either case in constant time and clamps the key; nil if `text`
    /// is anything else, or encodes zeros, which stand for no key.
    ///
    /// The string stays in the caller's memory. To be able to wipe the text, pass its bytes.
    public init?(hexadecimal text: String) {
        self.init(hexadecimal: text.rawBytes)
    }

    /// Decodes 64 hexadecimal digits of either case in constant time and clamps the key; nil if `text`
    /// is anything else, or encodes zeros.
    public init?(hexadecimal text: RawSpan) {
        guard let secret = Secret32(hexadecimal: text), !secret.isZero else { return nil }
        self.init(clamping: secret)
    }

    /// `PrivateKey(…)`: never the key itself.
    public var description: String { "PrivateKey(…)" }
}

extension PresharedKey {
    /// Decodes base64, such as `wg genpsk` prints, in constant time; nil if `text` is anything else.
    ///
    /// The string stays in the caller's memory. To be able to wipe the text, pass its bytes.
    public init?(base64 text: String) {
        self.init(base64: text.rawBytes)
    }

    /// Decodes base64 in constant time; nil if `text` is anything else.
    public init?(base64 text: RawSpan) {
        guard let secret = Secret32(base64: text) else { return nil }
        self.init(secret)
    }

    /// Decodes 64 hexadecimal digits of either case in constant time; nil if `text` is anything else.
    ///
    /// The string stays in the caller's memory. To be able to wipe the text, pass its bytes.
    public init?(hexadecimal text: String) {
        self.init(hexadecimal: text.rawBytes)
    }

    /// Decodes 64 hexadecimal digits of either case in constant time; nil if `text` is anything else.
    public init?(hexadecimal text: RawSpan) {
        guard let secret = Secret32(hexadecimal: text) else { return nil }
        self.init(secret)
    }

    /// `PresharedKey(…)`, or `PresharedKey(none)` for zeros: never the key itself.
    public var description: String { isZero ? "PresharedKey(none)" : "PresharedKey(…)" }
}

extension String {
    /// The UTF-8 bytes, without a copy for a native string.
    fileprivate var rawBytes: RawSpan {
        @_lifetime(borrow self)
        get {
            // Bytes have no padding.
            let bytes = unsafe utf8Span.span.bytes
            return unsafe _overrideLifetime(bytes, borrowing: self)
        }
    }
}
