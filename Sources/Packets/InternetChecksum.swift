/// The running sum of the Internet checksum (RFC 1071).
///
/// The sum is kept in memory order and in 64 bits, so that nothing has to be swapped or folded until
/// the end: one's complement addition does not mind either. Fields are added by their value in host
/// order; every run of bytes must be of even length, except the last.
package struct InternetChecksum: Sendable {
    /// The sum of 32-bit words in memory order.
    @usableFromInline
    var words: UInt64

    /// An empty sum.
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

    /// Adds `count` bytes from `offset` on. The range must lie in `bytes`.
    @inlinable
    package mutating func add(_ bytes: RawSpan, from offset: Int, count: Int) {
        precondition(offset >= 0 && count >= 0 && count <= bytes.byteCount &- offset)
        var at = offset
        let end = offset &+ count
        var sum: UInt64 = 0
        // Vectors leave units of the processor idle that can add, so the last third of each 192 bytes is
        // added word by word. What is loaded lies below `end`, which was checked.
        var first = EndAroundSum()
        var second = EndAroundSum()
        if count >= 64 {
            var lanes = SIMDSum()
            while at &+ 192 <= end {
                lanes.add(unsafe Self.load(bytes, at))
                lanes.add(unsafe Self.load(bytes, at &+ 64))
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
                lanes.add(unsafe Self.load(bytes, at))
                at &+= 64
            }
            sum = lanes.sum
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
            // RFC 1071: an odd byte is the first of a word whose second is zero.
            sum &+= UInt64((UInt16(bytes.byte(at: at)) << 8).bigEndian)
        }
        first.add(second.words)
        words &+= sum &+ (first.words & 0xFFFF_FFFF) &+ (first.words >> 32)
    }

    /// A word or a vector of them in memory order; the caller knows that it is there.
    @unsafe @inlinable @inline(always)
    static func load<Word: BitwiseCopyable>(_ bytes: RawSpan, _ offset: Int) -> Word {
        unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: Word.self)
    }

    /// Adds `count` bytes of `source` from `offset` on, and copies them to `target` in `destination`:
    /// one pass over the memory for both. Both ranges must lie in their spans.
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
            var lanes = SIMDSum()
            while done &+ 128 <= count {
                let (first, second) = source.loadWordPair(at: offset &+ done)
                destination.storeWordPair(first, second, at: target &+ done)
                lanes.add(first)
                lanes.add(second)
                done &+= 128
            }
            if done &+ 64 <= count {
                let vector = source.loadWords(at: offset &+ done)
                destination.storeBytes(
                    of: vector, toByteOffset: target &+ done, as: SIMD8<UInt64>.self)
                lanes.add(vector)
                done &+= 64
            }
            sum = lanes.sum
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

    /// The one's complement sum in host order, not inverted: what a partial checksum field holds.
    @inlinable @inline(always)
    package var folded: UInt16 {
        var sum = (words & 0xFFFF_FFFF) &+ (words >> 32)
        sum = (sum & 0xFFFF) &+ ((sum >> 16) & 0xFFFF) &+ (sum >> 32)
        sum = (sum & 0xFFFF) &+ (sum >> 16)
        sum = (sum & 0xFFFF) &+ (sum >> 16)
        return UInt16(bigEndian: UInt16(truncatingIfNeeded: sum))
    }

    /// The checksum in host order: what the field of a finished packet holds.
    @inlinable @inline(always)
    package var checksum: UInt16 {
        ~folded
    }

    /// The checksum for UDP, where zero means that there is none and is sent as its other form
    /// (RFC 768).
    @inlinable @inline(always)
    package var udpChecksum: UInt16 {
        let checksum = checksum
        return checksum == 0 ? 0xFFFF : checksum
    }

    /// Whether bytes that hold their own checksum sum up to what a correct one gives.
    @inlinable @inline(always)
    package var isCorrect: Bool {
        folded == 0xFFFF
    }

    /// The checksum of a header in which one 16-bit field changes (RFC 1624, equation 3).
    @inlinable
    package static func updated(_ checksum: UInt16, from old: UInt16, to new: UInt16) -> UInt16 {
        var sum = UInt32(~checksum) &+ UInt32(~old) &+ UInt32(new)
        sum = (sum & 0xFFFF) &+ (sum >> 16)
        sum = (sum & 0xFFFF) &+ (sum >> 16)
        return ~UInt16(truncatingIfNeeded: sum)
    }

    /// Adds eight bytes in memory order.
    @inlinable @inline(always)
    mutating func add(memoryOrder word: UInt64) {
        words &+= (word & 0xFFFF_FFFF) &+ (word >> 32)
    }
}

/// Eight 64-bit lanes that sum 32-bit halves with three operations a vector: the words themselves,
/// modulo 2^64, and their upper halves. The sum of the lower halves follows from the two.
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

/// A sum of 64-bit words whose carry comes in again at the lower end, as one's complement has it.
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
