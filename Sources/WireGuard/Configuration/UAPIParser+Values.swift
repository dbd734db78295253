import Packets
import WireGuardCrypto

/// Values of lines; what is no value of the key is ``UAPIError/invalid``.
extension UAPIParser {
    static func number<Number: FixedWidthInteger & UnsignedInteger>(
        _ value: RawSpan
    ) throws(UAPIError) -> Number {
        guard let number = Number(parsing: value, in: 0..<value.byteCount) else { throw .invalid }
        return number
    }

    static func require(_ value: RawSpan, _ only: StaticString) throws(UAPIError) {
        guard value.equals(only) else { throw .invalid }
    }

    static func publicKey(_ value: RawSpan) throws(UAPIError) -> PublicKey {
        var key: PublicKey?
        try withKeyBytes(value) { key = PublicKey(bytes: $0) }
        guard let key else { throw .invalid }
        return key
    }

    static func privateKey(_ value: RawSpan) throws(UAPIError) -> PrivateKeyChange {
        var key: PrivateKey?
        try withKeyBytes(value) { bytes in
            // Zeros stand for no key; clamped they would be one.
            if !ConstantTime.isZero(bytes) { key = PrivateKey(bytes: bytes) }
        }
        guard let key else { return .cleared }
        return .set(key)
    }

    static func presharedKey(_ value: RawSpan) throws(UAPIError) -> PresharedKey {
        var key = PresharedKey()
        try withKeyBytes(value) { bytes in
            if let read = PresharedKey(bytes: bytes) { key = read }
        }
        return key
    }

    /// Reads the 64 digits of a key, of either case, and wipes what it read.
    private static func withKeyBytes(
        _ value: RawSpan, _ body: (RawSpan) -> Void
    ) throws(UAPIError) {
        guard value.byteCount == 64 else { throw .invalid }
        var storage = InlineArray<32, UInt8>(repeating: 0)
        var span = storage.mutableSpan
        // Bytes have no padding.
        var bytes = unsafe span.mutableBytes
        defer { bytes.wipe() }
        for offset in 0..<32 {
            guard let high = value.byte(at: offset * 2).hexadecimalDigit,
                let low = value.byte(at: offset * 2 + 1).hexadecimalDigit
            else { throw .invalid }
            bytes.store(byte: high << 4 | low, at: offset)
        }
        body(bytes.bytes)
    }
}

extension RawSpan {
    /// The offset of the first `byte` from `start` on.
    func firstOffset(of byte: UInt8, from start: Int) -> Int? {
        var offset = start
        while offset < byteCount {
            if self.byte(at: offset) == byte { return offset }
            offset += 1
        }
        return nil
    }

    /// Whether the bytes are those of `text`.
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
