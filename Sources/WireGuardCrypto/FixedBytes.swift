/// 32 bytes that are no secret and lie where they are declared: a public key, a transcript hash.
package struct Bytes32: Hashable, Sendable, BitwiseCopyable {
    private var words: InlineArray<4, UInt64>

    /// The number of bytes.
    package static let byteCount = 32

    /// Zeros.
    package init() {
        words = InlineArray(repeating: 0)
    }

    /// What `body` writes to zeros.
    package init(filledBy body: (inout MutableRawSpan) -> Void) {
        self.init()
        var words = words.mutableSpan
        // Integers have no padding, and any bytes make one.
        var bytes = unsafe words.mutableBytes
        body(&bytes)
    }

    /// A copy of `bytes`; nil unless there are 32.
    package init?(_ bytes: RawSpan) {
        guard bytes.byteCount == Self.byteCount else { return nil }
        self.init { $0.copy(bytes) }
    }

    /// The bytes, to read.
    package var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            // Integers have no padding: each byte of the words is a byte of ours.
            unsafe words.span.bytes
        }
    }

    /// Whether all bytes are zero.
    package var isZero: Bool { words[0] | words[1] | words[2] | words[3] == 0 }

    package static func == (left: Bytes32, right: Bytes32) -> Bool {
        // Every word is looked at, whatever the first ones say.
        (left.words[0] ^ right.words[0]) | (left.words[1] ^ right.words[1])
            | (left.words[2] ^ right.words[2]) | (left.words[3] ^ right.words[3]) == 0
    }

    package func hash(into hasher: inout Hasher) {
        for index in words.indices { hasher.combine(words[index]) }
    }
}

/// 16 bytes that are no secret: a MAC or a tag. Compare it with ``ConstantTime`` only.
package struct Bytes16: Sendable, BitwiseCopyable {
    private var words: InlineArray<2, UInt64>

    /// The number of bytes.
    package static let byteCount = 16

    /// Zeros.
    package init() {
        words = InlineArray(repeating: 0)
    }

    /// What `body` writes to zeros.
    package init(filledBy body: (inout MutableRawSpan) -> Void) {
        self.init()
        var words = words.mutableSpan
        // Integers have no padding, and any bytes make one.
        var bytes = unsafe words.mutableBytes
        body(&bytes)
    }

    /// A copy of `bytes`; nil unless there are 16.
    package init?(_ bytes: RawSpan) {
        guard bytes.byteCount == Self.byteCount else { return nil }
        self.init { $0.copy(bytes) }
    }

    /// The bytes, to read.
    package var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            // As in ``Bytes32``.
            unsafe words.span.bytes
        }
    }
}
