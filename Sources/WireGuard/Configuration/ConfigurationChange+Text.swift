import Packets
import WireGuardCrypto

extension ConfigurationChange {
    /// Parses the lines of a set as `wg set` sends them. Both `set=1` in front and the blank line at the
    /// end may be missing.
    ///
    /// A scope in an endpoint must be a number: interface names belong to the system.
    ///
    /// - Throws: the first error, with its line, counted from 1.
    public init(parsing text: RawSpan) throws(ConfigurationError) {
        let hasFirstLine = text.byteCount >= 5 && text.extracting(0..<5).equals("set=1")
        var parser = hasFirstLine ? UAPIParser() : UAPIParser(insideSet: ())
        var offset = 0
        var request = parser.read(text, from: &offset, resolveScope: { _ in nil })
        if request == nil { request = parser.finish() }
        switch consume request {
        case .set(let change):
            if let line = text.firstLineWithText(from: offset) { throw .unexpectedLine(line: line) }
            self = change
        case .failed(let error, of: _):
            throw error
        default:
            // Never reached: parsed as lines of a set, "get=1" is an unknown key.
            throw .unknownRequest
        }
    }

    /// Parses the lines of a set, like ``init(parsing:)-(RawSpan)``.
    ///
    /// The string stays in the caller's memory. To be able to wipe keys, pass bytes.
    public init(parsing text: String) throws(ConfigurationError) {
        // Bytes have no padding.
        let bytes = unsafe text.utf8Span.span.bytes
        try self.init(parsing: bytes)
    }
}

extension UAPIParser {
    /// Ends the last line, if it is not ended, and the request.
    fileprivate mutating func finish() -> UAPIRequest? {
        let end: InlineArray<2, UInt8> = [.newline, .newline]
        var offset = 0
        // Bytes have no padding.
        return unsafe read(end.span.bytes, from: &offset, resolveScope: { _ in nil })
    }
}

extension RawSpan {
    /// The number, counted from 1, of the first line at or after `offset` that is not blank.
    fileprivate func firstLineWithText(from offset: Int) -> Int? {
        let isText = { (byte: UInt8) in byte != .newline && byte != .carriageReturn }
        guard let start = (offset..<byteCount).first(where: { isText(byte(at: $0)) }) else {
            return nil
        }
        return 1 + (0..<start).count { byte(at: $0) == .newline }
    }
}
