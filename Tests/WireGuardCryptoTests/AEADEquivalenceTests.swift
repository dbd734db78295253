import Glibc
import Testing
import WireGuardCrypto

/// Compares each implementation with libsodium on random batches: sealed, opened, and opened with some
/// packets forged.
@Suite struct AEADEquivalenceTests {
    /// The number of batches to compare. `SWIREGUARD_AEAD_BATCHES` overrides it.
    private static let batchCount: Int = {
        if let text = unsafe getenv("SWIREGUARD_AEAD_BATCHES"),
            let count = Int(unsafe String(cString: text))
        {
            return count
        }
        #if DEBUG
            return 800
        #else
            return 1_000_000
        #endif
    }()
    /// The seed of all tests. Long tests take it from the time, so that each uses other batches.
    private static let seed: UInt64 =
        unsafe getenv("SWIREGUARD_AEAD_BATCHES") == nil ? 6 : UInt64(time(nil))

    @Test(
        "random batches give the same results as libsodium",
        arguments: AEADImplementation.available)
    func randomBatches(implementation: AEADImplementation) {
        var twins = Twins(seed: Self.seed)
        for _ in 0..<Self.batchCount {
            twins.next()
            guard twins.agree(on: implementation) else {
                Issue.record("seed \(Self.seed): \(twins.packets)")
                return
            }
        }
    }

    @Test(
        "one wrong bit of a tag is enough to refuse a packet anywhere in a batch",
        arguments: AEADImplementation.available, 0..<8)
    func everyBit(implementation: AEADImplementation, position: Int) throws {
        for bit in 0..<128 {
            var twins = Twins(seed: UInt64(bit))
            twins.next(lengths: (0..<8).map { ($0 * 211 + bit * 11) % 1500 })
            let isRefused = twins.refuses(bit: bit, of: position, by: implementation)
            try #require(isRefused, "bit \(bit)")
        }
    }

    @Test(
        "concurrent and short-lived threads do not interfere",
        arguments: AEADImplementation.available)
    func threads(implementation: AEADImplementation) {
        for round in 0..<4 {
            let threads = (0..<8).map { index in
                TestThread {
                    var twins = Twins(seed: UInt64(100 + round * 8 + index))
                    return (0..<Self.batchCount / 200).allSatisfy { _ in
                        twins.next()
                        return twins.agree(on: implementation)
                    }
                }
            }
            #expect(threads.map { $0.join() } == threads.map { _ in true })
        }
    }

    @Test(
        "no byte outside a packet is read or written",
        arguments: AEADImplementation.available)
    func guardPages(implementation: AEADImplementation) {
        var random = SeededRandom(seed: 7)
        let key = SymmetricKey(Secret32(random: &random))
        let area = GuardedArea(byteCount: 3 << 12)
        // Guard pages surround the memory: an access would end the process.
        for length in Array(0...1500) + [4096, 6128, 8192, 12_272] {
            // A packet at either end, alone or with the other one in the same batch if both fit.
            let last = area.byteCount - length - 16
            let alone = [[0], [last]]
            for offsets in last >= length + 16 ? alone + [[0, last]] : alone {
                let areOpened = Self.opens(
                    offsets.map { ($0, length) }, in: area, key, implementation)
                #expect(areOpened, "\(length) bytes at \(offsets)")
            }
            // Two packets with different upper words: another implementation may process a batch of one
            // packet.
            guard length > 0, last >= 32 else { continue }
            for (offset, empty) in [(0, area.byteCount - 16), (last, 0)] {
                let areOpened = Self.opens(
                    [(offset, length), (empty, 0)], in: area, key, implementation)
                #expect(areOpened, "\(length) bytes at \(offset), and none at \(empty)")
            }
        }
    }

    @Test(
        "no byte outside two packets of different lengths is read or written",
        arguments: AEADImplementation.available)
    func guardPagesOfPairs(implementation: AEADImplementation) {
        var random = SeededRandom(seed: 8)
        let key = SymmetricKey(Secret32(random: &random))
        let area = GuardedArea(byteCount: 3 << 12)
        // Tests both orders in the batch, and both positions at the guard pages.
        for one in 0...130 {
            for other in [0, 1, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 128, 1420, 8192] {
                let (atStart, atEnd) = ((0, one), (area.byteCount - other - 16, other))
                let (other, one) = ((0, other), (area.byteCount - one - 16, one))
                for packets in [[atStart, atEnd], [atEnd, atStart], [other, one], [one, other]] {
                    let areOpened = Self.opens(packets, in: area, key, implementation)
                    #expect(areOpened, "\(packets)")
                }
            }
        }
    }

    /// Whether packets at these offsets and of these lengths are sealed and opened correctly.
    private static func opens(
        _ places: [(offset: Int, length: Int)], in area: borrowing GuardedArea,
        _ key: borrowing SymmetricKey, _ implementation: AEADImplementation
    ) -> Bool {
        var packets = places.map {
            AEADPacket(
                offset: $0.offset, length: $0.length,
                counter: UInt64(9 + $0.offset) | ($0.length == 0 ? 1 << 40 : 0))
        }
        return area.withBytes { bytes in
            ChaCha20Poly1305.seal(packets.span, in: &bytes, key: key, using: implementation)
            for index in packets.indices { packets[index].length += 16 }
            var span = packets.mutableSpan
            ChaCha20Poly1305.open(&span, in: &bytes, key: key, using: implementation)
            return packets.allSatisfy(\.isAuthentic)
        }
    }
}

/// The same batch twice, for libsodium and for another implementation.
private struct Twins: ~Copyable {
    private(set) var packets: [AEADPacket] = []
    private var key = SymmetricKey(Secret32())
    private var random: SeededRandom
    private var reference: [UInt8]
    private var candidate: [UInt8]
    /// The used bytes of both buffers.
    private var used = 0

    private static let largest = 65_000

    init(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        reference = filled(70 * 1600 + 4 * (Self.largest + 64)) { random.fill(&$0) }
        candidate = reference
        self.random = random
    }

    /// Makes the next batch: mostly a few small packets, so that many batches can be tested, sometimes up to
    /// 70 packets of 0 to 1500 bytes, and rarely a few large packets.
    mutating func next() {
        let isSmall = random.next(below: 16) != 0
        let count = 1 + Int(random.next(below: isSmall ? 9 : 70))
        let limit: UInt64 = isSmall ? 270 : 1501
        var lengths = (0..<count).map { _ in Int(random.next(below: limit)) }
        if random.next(below: 500) == 0 {
            for _ in 0..<3 {
                lengths[Int(random.next(below: UInt64(count)))] =
                    Int(random.next(below: UInt64(Self.largest + 1)))
            }
        }
        next(lengths: lengths)
    }

    /// Makes packets of these lengths. The plaintext is what the previous batch left in the buffers.
    mutating func next(lengths: [Int]) {
        key = SymmetricKey(Secret32(random: &random))
        packets.removeAll(keepingCapacity: true)
        used = Int(random.next(below: 64))
        // Sometimes without gaps, as in a segmented send.
        let gap = random.next(below: 2) == 0 ? 1 : random.next(below: 48)
        // At random, or just before the upper word changes.
        let first =
            random.next(below: 8) == 0
            ? 0xFFFF_FFFF &- random.next(below: 70) : random.nextUInt64()
        for (index, length) in lengths.enumerated() {
            packets.append(
                AEADPacket(offset: used, length: length, counter: first &+ UInt64(index)))
            used += length + 16 + Int(random.next(below: gap))
        }
    }

    /// Whether both give the same results when they seal the batch and open it with some packets forged.
    mutating func agree(on implementation: AEADImplementation) -> Bool {
        Self.seal(packets, &reference, key, .sodium)
        Self.seal(packets, &candidate, key, implementation)
        guard isSame else { return false }
        for index in packets.indices { packets[index].length += 16 }
        for _ in 0..<random.next(below: 4) {
            let index = Int(random.next(below: UInt64(packets.count)))
            forge(index, bit: Int(random.next(below: UInt64(packets[index].length * 8))))
        }
        var expected = packets
        Self.open(&expected, &reference, key, .sodium)
        Self.open(&packets, &candidate, key, implementation)
        return isSame && expected.map(\.isAuthentic) == packets.map(\.isAuthentic)
    }

    /// Whether only the packet with a wrong bit in its tag is refused, and none of its plaintext is released.
    mutating func refuses(
        bit: Int, of position: Int, by implementation: AEADImplementation
    ) -> Bool {
        Self.seal(packets, &candidate, key, implementation)
        for index in packets.indices { packets[index].length += 16 }
        let packet = packets[position]
        let text = packet.offset..<packet.offset + packet.length - 16
        forge(position, bit: text.count * 8 + bit)
        Self.open(&packets, &candidate, key, implementation)
        return packets.indices.allSatisfy { packets[$0].isAuthentic == ($0 != position) }
            && candidate[text].allSatisfy { $0 == 0 }
    }

    private mutating func forge(_ index: Int, bit: Int) {
        let position = packets[index].offset + bit / 8
        reference[position] ^= 1 << UInt8(bit % 8)
        candidate[position] ^= 1 << UInt8(bit % 8)
    }

    private var isSame: Bool {
        ConstantTime.equal(
            reference.raw.extracting(first: used + 64), candidate.raw.extracting(first: used + 64))
    }

    private static func seal(
        _ packets: [AEADPacket], _ bytes: inout [UInt8], _ key: borrowing SymmetricKey,
        _ implementation: AEADImplementation
    ) {
        bytes.withRaw {
            ChaCha20Poly1305.seal(packets.span, in: &$0, key: key, using: implementation)
        }
    }

    private static func open(
        _ packets: inout [AEADPacket], _ bytes: inout [UInt8], _ key: borrowing SymmetricKey,
        _ implementation: AEADImplementation
    ) {
        bytes.withRaw {
            var span = packets.mutableSpan
            ChaCha20Poly1305.open(&span, in: &$0, key: key, using: implementation)
        }
    }
}
