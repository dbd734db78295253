import Packets
import WireGuardCrypto

/// A growing byte buffer that may contain keys. It wipes all memory before freeing it.
@safe
package struct WipedText: ~Copyable, @unchecked Sendable {
    // Sendable: this value owns the memory, and shared borrows only read it.
    private var base: UnsafeMutableRawPointer
    private var capacity = 0
    package private(set) var byteCount = 0

    package init() {
        unsafe base = UnsafeMutableRawPointer.allocate(byteCount: 0, alignment: 1)
    }

    deinit {
        unsafe Self.wipe(base, byteCount: byteCount)
        unsafe base.deallocate()
    }

    package var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            // The first `byteCount` bytes are initialized.
            let span = unsafe RawSpan(_unsafeStart: base, byteCount: byteCount)
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    mutating func append(_ byte: UInt8) {
        reserve(1)
        // Reserved.
        unsafe base.storeBytes(of: byte, toByteOffset: byteCount, as: UInt8.self)
        byteCount += 1
    }

    package mutating func append(_ bytes: RawSpan) {
        reserve(bytes.byteCount)
        unsafe bytes.withUnsafeBytes { bytes in
            guard let source = bytes.baseAddress else { return }
            // Reserved.
            unsafe (base + byteCount).copyMemory(from: source, byteCount: bytes.count)
        }
        byteCount += bytes.byteCount
    }

    mutating func append(_ text: StaticString) {
        text.withUTF8Buffer { text in
            // The bytes of a literal are never freed.
            unsafe append(RawSpan(_unsafeBytes: UnsafeRawBufferPointer(text)))
        }
    }

    mutating func append(decimal value: UInt64) {
        var divisor: UInt64 = 1
        while value / divisor >= 10 { divisor &*= 10 }
        while divisor > 0 {
            append(UInt8(truncatingIfNeeded: value / divisor % 10) + .zeroDigit)
            divisor /= 10
        }
    }

    mutating func append(hexadecimal bytes: RawSpan) {
        for offset in 0..<bytes.byteCount {
            let byte = bytes.byte(at: offset)
            append(Self.hexadecimalDigit(byte >> 4))
            append(Self.hexadecimalDigit(byte & 0xF))
        }
    }

    /// Wipes all bytes, and keeps the memory for reuse.
    mutating func removeAll() {
        unsafe Self.wipe(base, byteCount: byteCount)
        byteCount = 0
    }

    private mutating func reserve(_ more: Int) {
        guard more > capacity - byteCount else { return }
        let capacity = max(byteCount + more, self.capacity * 2, 512)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 1)
        unsafe memory.copyMemory(from: base, byteCount: byteCount)
        unsafe Self.wipe(base, byteCount: byteCount)
        unsafe base.deallocate()
        unsafe base = memory
        self.capacity = capacity
    }

    private static func wipe(_ base: UnsafeMutableRawPointer, byteCount: Int) {
        var bytes = unsafe MutableRawSpan(_unsafeStart: base, byteCount: byteCount)
        bytes.wipe()
    }

    /// The lower-case digit, in constant time: a table or a branch would depend on the key.
    private static func hexadecimalDigit(_ value: UInt8) -> UInt8 {
        // 9 − value is negative, and its high bits are ones, exactly for the letters.
        let isLetter = UInt8(bitPattern: (9 - Int8(bitPattern: value)) >> 7)
        return value + .zeroDigit + (isLetter & 39)
    }
}
