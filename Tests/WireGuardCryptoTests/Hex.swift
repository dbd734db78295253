import WireGuardCrypto

/// The bytes of a string of hexadecimal digits.
func hex(_ digits: String) -> [UInt8] {
    let values = digits.compactMap { $0.hexDigitValue.map(UInt8.init) }
    precondition(values.count == digits.count && values.count.isMultiple(of: 2))
    return stride(from: 0, to: values.count, by: 2).map { values[$0] << 4 | values[$0 + 1] }
}

/// `count` zero bytes after `body` has changed them.
func filled<E>(
    _ count: Int, _ body: (inout MutableRawSpan) throws(E) -> Void
) throws(E) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    try bytes.withRaw(body)
    return bytes
}

extension [UInt8] {
    /// The bytes as a span, as the module expects them.
    var raw: RawSpan {
        @_lifetime(borrow self)
        get { unsafe span.bytes }
    }

    /// Calls `body` with write access to the bytes.
    mutating func withRaw<E>(_ body: (inout MutableRawSpan) throws(E) -> Void) throws(E) {
        var span = self.mutableSpan
        var raw = unsafe span.mutableBytes
        try body(&raw)
    }
}

extension RawSpan {
    /// A copy as an array, which can be compared and printed.
    var array: [UInt8] {
        (0..<byteCount).map { unsafe unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
    }

    /// The bytes as hexadecimal digits.
    var hex: String {
        array.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}

/// The public key with these 32 bytes.
func publicKey(_ bytes: [UInt8]) throws(WrongLength) -> PublicKey {
    guard let key = PublicKey(bytes: bytes.raw) else { throw WrongLength() }
    return key
}

/// A test vector has the wrong length.
struct WrongLength: Error {}
