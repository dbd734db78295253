import CSodium

/// Where keys, indices and jitter come from; a parameter, so that a test can repeat a run.
public protocol RandomSource {
    /// Overwrites all of `bytes` with random ones.
    mutating func fill(_ bytes: inout MutableRawSpan)
}

extension RandomSource {
    /// A random number of 32 bits.
    public mutating func nextUInt32() -> UInt32 {
        UInt32(truncatingIfNeeded: nextUInt64())
    }

    /// A random number of 64 bits.
    public mutating func nextUInt64() -> UInt64 {
        var word = InlineArray<1, UInt64>(repeating: 0)
        var words = word.mutableSpan
        var bytes = unsafe words.mutableBytes
        fill(&bytes)
        return UInt64(littleEndian: word[0])
    }

    /// A random number below `bound`, each as likely as any other; 0 if `bound` is 0 or 1.
    public mutating func next(below bound: UInt64) -> UInt64 {
        guard bound > 1 else { return 0 }
        // Numbers under 2^64 mod bound would make the low results likelier.
        let rest = (0 &- bound) % bound
        while true {
            let number = nextUInt64()
            if number >= rest { return number % bound }
        }
    }
}

/// The randomness of the operating system: getrandom(2), which waits at boot until it is seeded.
public struct SystemRandom: RandomSource, Sendable {
    /// Makes a source; all are the same.
    public init() {}

    /// Overwrites all of `bytes` with random ones.
    public mutating func fill(_ bytes: inout MutableRawSpan) {
        unsafe bytes.withUnsafeMutableBytes { bytes in
            guard let start = bytes.baseAddress else { return }
            unsafe randombytes_buf(start, bytes.count)
        }
    }
}

/// The same random bytes for the same seed, for tests and simulations; never for real keys.
///
/// The nth call to ``fill(_:)`` gives the ChaCha20 stream under nonce n, with the seed as the key.
public struct SeededRandom: RandomSource, Sendable {
    private let seed: Bytes32
    private var nonce: UInt64 = 0

    /// Makes a source from a number.
    public init(seed: UInt64) {
        self.seed = Bytes32 {
            $0.storeBytes(of: seed.littleEndian, toByteOffset: 0, as: UInt64.self)
        }
    }

    /// Makes a source from 32 bytes; nil unless there are 32.
    public init?(seed: RawSpan) {
        guard let bytes = Bytes32(seed) else { return nil }
        self.seed = bytes
    }

    /// Overwrites all of `bytes` with the next stream.
    public mutating func fill(_ bytes: inout MutableRawSpan) {
        let nonce = InlineArray<1, UInt64>(repeating: nonce.littleEndian)
        self.nonce &+= 1
        guard !bytes.isEmpty else { return }
        unsafe bytes.withUnsafeMutableBytes { bytes in
            unsafe nonce.span.withUnsafeBytes { nonce in
                unsafe seed.bytes.withUnsafeBytes { seed in
                    // A nonce of 8 bytes and a key of 32.
                    _ = unsafe crypto_stream_chacha20(
                        bytes.address, UInt64(bytes.count), nonce.address, seed.address)
                }
            }
        }
    }
}
