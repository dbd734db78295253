/// 32 public bytes, stored inline: a public key or a transcript hash.
package struct Bytes32: Hashable, Sendable, BitwiseCopyable {
    private var words: InlineArray<4, UInt64>

    /// The number of bytes.
    package static let byteCount = 32

    /// Makes 32 zero bytes.
    package init() {
        words = InlineArray(repeating: 0)
    }

    /// Zero bytes, which `body` then overwrites.
    package init(filledBy body: (inout MutableRawSpan) -> Void) {
        self.init()
        var words = words.mutableSpan
        // Integers have no padding, and any bytes are a valid integer.
        var bytes = unsafe words.mutableBytes
        body(&bytes)
    }

    /// A copy of `bytes`, or nil unless there are 32.
    package init?(_ bytes: RawSpan) {
        guard bytes.byteCount == Self.byteCount else { return nil }
        self.init { $0.copy(bytes) }
    }

    /// Read access to the bytes.
    package var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            // Integers have no padding.
            unsafe words.span.bytes
        }
    }

    /// Whether all bytes are zero.
    package var isZero: Bool { words[0] | words[1] | words[2] | words[3] == 0 }

    package static func == (left: Bytes32, right: Bytes32) -> Bool {
        // Compares all words, even if the first ones differ.
        (left.words[0] ^ right.words[0]) | (left.words[1] ^ right.words[1])
            | (left.words[2] ^ right.words[2]) | (left.words[3] ^ right.words[3]) == 0
    }

    package func hash(into hasher: inout Hasher) {
        for index in words.indices { hasher.combine(words[index]) }
    }
}

/// 16 public bytes: a MAC or a tag. Compare them only with ``ConstantTime``.
package struct Bytes16: Sendable, BitwiseCopyable {
    private var words: InlineArray<2, UInt64>

    /// The number of bytes.
    package static let byteCount = 16

    /// Makes 16 zero bytes.
    package init() {
        words = InlineArray(repeating: 0)
    }

    /// Zero bytes, which `body` then overwrites.
    package init(filledBy body: (inout MutableRawSpan) -> Void) {
        self.init()
        var words = words.mutableSpan
        // Integers have no padding, and any bytes are a valid integer.
        var bytes = unsafe words.mutableBytes
        body(&bytes)
    }

    /// A copy of `bytes`, or nil unless there are 16.
    package init?(_ bytes: RawSpan) {
        guard bytes.byteCount == Self.byteCount else { return nil }
        self.init { $0.copy(bytes) }
    }

    /// Read access to the bytes.
    package var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            // Integers have no padding.
            unsafe words.span.bytes
        }
    }
}
