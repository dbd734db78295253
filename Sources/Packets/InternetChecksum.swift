/// The running sum of the Internet checksum (RFC 1071).
///
/// The sum has 64 bits and is in memory order. One's complement addition allows both, and bytes are swapped
/// and folded only at the end. Add fields by their value in host byte order. Every range of bytes except
/// the last must have an even length.
package struct InternetChecksum: Sendable {
    /// The sum of 32-bit words in memory byte order.
    @usableFromInline
    var words: UInt64

    /// Makes an empty sum.
    @inlinable @inline(always)
    package init() {
        words = 0
    }

    /// Adds a 16-bit field.
    @inlinable @inline(always)
    package mutating func add(_ field: UInt16) {
        words &+= UInt64(field.bigEndian)
    }

    /// Adds a 32-bit field.
    @inlinable @inline(always)
    package mutating func add(_ field: UInt32) {
        words &+= UInt64(field.bigEndian)
    }

    /// Adds `count` bytes at `offset`. The range must lie in `bytes`.
    @inlinable
    package mutating func add(_ bytes: RawSpan, from offset: Int, count: Int) {
        precondition(offset >= 0 && count >= 0 && count <= bytes.byteCount &- offset)
        var at = offset
        let end = offset &+ count
        var sum: UInt64 = 0
        // Vector additions leave scalar units of the processor idle, so add the last third of each 192
        // bytes word by word. All loads are before `end`, which was checked.
        var first = EndAroundSum()
        var second = EndAroundSum()
        if count >= 64 {
            var vectors = SIMDSum()
            while at &+ 192 <= end {
                vectors.add(unsafe Self.load(bytes, at))
                vectors.add(unsafe Self.load(bytes, at &+ 64))
                first.add(unsafe Self.load(bytes, at &+ 128))
                second.add(unsafe Self.load(bytes, at &+ 136))
                first.add(unsafe Self.load(bytes, at &+ 144))
                second.add(unsafe Self.load(bytes, at &+ 152))
                first.add(unsafe Self.load(bytes, at &+ 160))
                second.add(unsafe Self.load(bytes, at &+ 168))
                first.add(unsafe Self.load(bytes, at &+ 176))
                second.add(unsafe Self.load(bytes, at &+ 184))
                at &+= 192
            }
            while at &+ 64 <= end {
                vectors.add(unsafe Self.load(bytes, at))
                at &+= 64
            }
            sum = vectors.sum
        }
        while at &+ 16 <= end {
            first.add(unsafe Self.load(bytes, at))
            second.add(unsafe Self.load(bytes, at &+ 8))
            at &+= 16
        }
        if at &+ 8 <= end {
            first.add(unsafe Self.load(bytes, at))
            at &+= 8
        }
        if at &+ 4 <= end {
            sum &+= UInt64(bytes.loadNative(at: at, as: UInt32.self))
            at &+= 4
        }
        if at &+ 2 <= end {
            sum &+= UInt64(bytes.loadNative(at: at, as: UInt16.self))
            at &+= 2
        }
        if at < end {
            // RFC 1071: pad an odd byte with a zero byte.
            sum &+= UInt64((UInt16(bytes.byte(at: at)) << 8).bigEndian)
        }
        first.add(second.words)
        words &+= sum &+ (first.words & 0xFFFF_FFFF) &+ (first.words >> 32)
    }

    /// Loads a word or a vector in memory byte order. The caller must check the bounds.
    @unsafe @inlinable @inline(always)
    static func load<Word: BitwiseCopyable>(_ bytes: RawSpan, _ offset: Int) -> Word {
        unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: Word.self)
    }

    /// Adds `count` bytes of `source` at `offset`, and copies them to `destination` at `target` in the same
    /// pass. Both ranges must lie in their spans.
    @inlinable
    package mutating func add(
        _ source: RawSpan, from offset: Int, count: Int,
        copyingTo destination: inout MutableRawSpan, at target: Int
    ) {
        precondition(offset >= 0 && count >= 0 && count <= source.byteCount &- offset)
        precondition(target >= 0 && count <= destination.byteCount &- target)
        var done = 0
        var sum: UInt64 = 0
        if count >= 64 {
            var vectors = SIMDSum()
            while done &+ 128 <= count {
                let (first, second) = source.loadWordPair(at: offset &+ done)
                destination.storeWordPair(first, second, at: target &+ done)
                vectors.add(first)
                vectors.add(second)
                done &+= 128
            }
            if done &+ 64 <= count {
                let vector = source.loadWords(at: offset &+ done)
                destination.storeBytes(
                    of: vector, toByteOffset: target &+ done, as: SIMD8<UInt64>.self)
                vectors.add(vector)
                done &+= 64
            }
            sum = vectors.sum
        }
        while done &+ 16 <= count {
            let pair = source.loadTwoWords(at: offset &+ done)
            destination.storeBytes(of: pair, toByteOffset: target &+ done, as: SIMD2<UInt64>.self)
            let halves = (pair & 0xFFFF_FFFF) &+ (pair &>> 32)
            sum &+= halves[0] &+ halves[1]
            done &+= 16
        }
        if done &+ 8 <= count {
            let word = source.loadNative(at: offset &+ done, as: UInt64.self)
            destination.storeBytes(of: word, toByteOffset: target &+ done, as: UInt64.self)
            sum &+= (word & 0xFFFF_FFFF) &+ (word >> 32)
            done &+= 8
        }
        if done &+ 4 <= count {
            let word = source.loadNative(at: offset &+ done, as: UInt32.self)
            destination.storeBytes(of: word, toByteOffset: target &+ done, as: UInt32.self)
            sum &+= UInt64(word)
            done &+= 4
        }
        if done &+ 2 <= count {
            let word = source.loadNative(at: offset &+ done, as: UInt16.self)
            destination.storeBytes(of: word, toByteOffset: target &+ done, as: UInt16.self)
            sum &+= UInt64(word)
            done &+= 2
        }
        if done < count {
            let byte = source.byte(at: offset &+ done)
            destination.store(byte: byte, at: target &+ done)
            sum &+= UInt64((UInt16(byte) << 8).bigEndian)
        }
        words &+= sum
    }

    /// The one's complement sum in host byte order, not inverted, for a partial checksum field.
    @inlinable @inline(always)
    package var folded: UInt16 {
        var sum = (words & 0xFFFF_FFFF) &+ (words >> 32)
        sum = (sum & 0xFFFF) &+ ((sum >> 16) & 0xFFFF) &+ (sum >> 32)
        sum = (sum & 0xFFFF) &+ (sum >> 16)
        sum = (sum & 0xFFFF) &+ (sum >> 16)
        return UInt16(bigEndian: UInt16(truncatingIfNeeded: sum))
    }

    /// The checksum in host byte order, for the field of a complete packet.
    @inlinable @inline(always)
    package var checksum: UInt16 {
        ~folded
    }

    /// The checksum for UDP, where 0 means no checksum and a computed 0 is sent as 0xFFFF (RFC 768).
    @inlinable @inline(always)
    package var udpChecksum: UInt16 {
        let checksum = checksum
        return checksum == 0 ? 0xFFFF : checksum
    }

    /// Whether the checksum is correct, if the added bytes include the checksum field.
    @inlinable @inline(always)
    package var isCorrect: Bool {
        folded == 0xFFFF
    }

    /// Updates the checksum of a header for a change of one 16-bit field (RFC 1624, equation 3).
    @inlinable
    package static func updated(_ checksum: UInt16, from old: UInt16, to new: UInt16) -> UInt16 {
        var sum = UInt32(~checksum) &+ UInt32(~old) &+ UInt32(new)
        sum = (sum & 0xFFFF) &+ (sum >> 16)
        sum = (sum & 0xFFFF) &+ (sum >> 16)
        return ~UInt16(truncatingIfNeeded: sum)
    }

    /// Adds eight bytes in memory byte order.
    @inlinable @inline(always)
    mutating func add(memoryOrder word: UInt64) {
        words &+= (word & 0xFFFF_FFFF) &+ (word >> 32)
    }
}

/// Sums the 32-bit halves of eight 64-bit words at a time with three operations per vector: the sum of the
/// words modulo 2^64, and the sum of their upper halves. The sum of the lower halves follows from these.
@usableFromInline
struct SIMDSum {
    @usableFromInline var total: SIMD8<UInt64>
    @usableFromInline var upper: SIMD8<UInt64>

    @inlinable @inline(always)
    init() {
        total = .zero
        upper = .zero
    }

    @inlinable @inline(always)
    mutating func add(_ vector: SIMD8<UInt64>) {
        total &+= vector
        upper &+= vector &>> 32
    }

    @inlinable @inline(always)
    var sum: UInt64 {
        let lower = total &- (upper &<< 32)
        return (lower &+ upper).wrappedSum()
    }
}

/// A one's complement sum of 64-bit words: it adds each carry at the low end (end-around carry).
@usableFromInline
struct EndAroundSum {
    @usableFromInline var words: UInt64 = 0

    @inlinable @inline(always)
    init() {}

    @inlinable @inline(always)
    mutating func add(_ word: UInt64) {
        let (sum, carries) = words.addingReportingOverflow(word)
        words = sum &+ (carries ? 1 : 0)
    }
}
