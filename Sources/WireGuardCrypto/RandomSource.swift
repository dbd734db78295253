import CSodium

/// The source of keys, indices and jitter. It is a parameter so that tests can be reproduced.
public protocol RandomSource {
    /// Overwrites `bytes` with random bytes.
    mutating func fill(_ bytes: inout MutableRawSpan)
}

extension RandomSource {
    /// A random 32-bit number.
    public mutating func nextUInt32() -> UInt32 {
        UInt32(truncatingIfNeeded: nextUInt64())
    }

    /// A random 64-bit number.
    public mutating func nextUInt64() -> UInt64 {
        var word = InlineArray<1, UInt64>(repeating: 0)
        var words = word.mutableSpan
        var bytes = unsafe words.mutableBytes
        fill(&bytes)
        return UInt64(littleEndian: word[0])
    }

    /// A uniformly distributed number below `bound`, or 0 if `bound` is 0 or 1.
    public mutating func next(below bound: UInt64) -> UInt64 {
        guard bound > 1 else { return 0 }
        // Numbers below 2^64 mod bound would make the low results more likely.
        let rest = (0 &- bound) % bound
        while true {
            let number = nextUInt64()
            if number >= rest { return number % bound }
        }
    }
}

/// The random source of the operating system: getrandom(2), which blocks at boot until it is seeded.
public struct SystemRandom: RandomSource, Sendable {
    /// Makes a source. All are equivalent.
    public init() {}

    /// Overwrites `bytes` with random bytes.
    public mutating func fill(_ bytes: inout MutableRawSpan) {
        unsafe bytes.withUnsafeMutableBytes { bytes in
            guard let start = bytes.baseAddress else { return }
            unsafe randombytes_buf(start, bytes.count)
        }
    }
}

/// A deterministic source for tests and simulations: the same seed gives the same bytes. Never use it for
/// real keys.
///
/// Call n to ``fill(_:)``, counted from 0, writes the ChaCha20 key stream for nonce n, with the seed as key.
public struct SeededRandom: RandomSource, Sendable {
    private let seed: Bytes32
    private var nonce: UInt64 = 0

    /// Makes a source from a number.
    public init(seed: UInt64) {
        self.seed = Bytes32 {
            $0.storeBytes(of: seed.littleEndian, toByteOffset: 0, as: UInt64.self)
        }
    }

    /// Makes a source from 32 bytes, or nil if there is another number of bytes.
    public init?(seed: RawSpan) {
        guard let bytes = Bytes32(seed) else { return nil }
        self.seed = bytes
    }

    /// Overwrites `bytes` with the next key stream.
    public mutating func fill(_ bytes: inout MutableRawSpan) {
        let nonce = InlineArray<1, UInt64>(repeating: nonce.littleEndian)
        self.nonce &+= 1
        guard !bytes.isEmpty else { return }
        unsafe bytes.withUnsafeMutableBytes { bytes in
            unsafe nonce.span.withUnsafeBytes { nonce in
                unsafe seed.bytes.withUnsafeBytes { seed in
                    // The nonce has 8 bytes and the key 32.
                    _ = unsafe crypto_stream_chacha20(
                        bytes.address, UInt64(bytes.count), nonce.address, seed.address)
                }
            }
        }
    }
}
