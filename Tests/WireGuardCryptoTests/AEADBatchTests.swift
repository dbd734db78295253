import Testing
import WireGuardCrypto

/// Batches of transport data in one buffer, with gaps of 0xEE bytes between the packets.
@Suite struct AEADBatchTests {
    @Test(
        "a batch seals and opens lengths 0 to 1500 like single calls",
        arguments: AEADImplementation.available)
    func everyLength(implementation: AEADImplementation) {
        var batch = Batch(lengths: Array(0...1500), seed: 1)
        batch.expectSealsLikeSingleCalls(with: implementation)
        batch.expectOpens(with: implementation)
    }

    @Test(
        "random batches seal and open like single calls",
        arguments: AEADImplementation.available, UInt64(2)..<42)
    func random(implementation: AEADImplementation, seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let count = Int(random.next(below: 65))
        var batch = Batch(
            lengths: (0..<count).map { _ in Int(random.next(below: 1501)) }, seed: seed)
        batch.expectSealsLikeSingleCalls(with: implementation)
        batch.expectOpens(with: implementation)
    }

    @Test(
        "only the forged packet of a batch is refused, and no plaintext of it is released",
        arguments: AEADImplementation.available, 0..<17)
    func forged(implementation: AEADImplementation, position: Int) {
        var random = SeededRandom(seed: 100)
        for forgery in Forgery.allCases {
            var batch = Batch(
                lengths: (0..<17).map { _ in 1 + Int(random.next(below: 1500)) }, seed: 3)
            batch.seal(with: implementation)
            batch.forge(forgery, at: position, bit: Int(random.next(below: 1 << 20)))
            batch.open(with: implementation)
            for index in batch.packets.indices {
                #expect(batch.packets[index].isAuthentic == (index != position))
                let result = batch.plaintext(at: index)
                if index == position {
                    #expect(result.allSatisfy { $0 == 0 })
                } else {
                    #expect(result == batch.plaintexts[index])
                }
            }
            batch.expectGapsUntouched()
        }
    }

    @Test(
        "a packet shorter than a tag is refused, and its neighbours are opened",
        arguments: AEADImplementation.available, 0..<16)
    func short(implementation: AEADImplementation, length: Int) {
        var batch = Batch(lengths: [100, 0, 100], seed: 4)
        batch.seal(with: implementation)
        batch.packets[1].length = length
        batch.packets[1].isAuthentic = true
        batch.open(with: implementation)
        #expect(batch.packets.map(\.isAuthentic) == [true, false, true])
        #expect(batch.plaintext(at: 0) == batch.plaintexts[0])
        #expect(batch.plaintext(at: 2) == batch.plaintexts[2])
    }

    @Test("an empty batch does nothing", arguments: AEADImplementation.available)
    func empty(implementation: AEADImplementation) {
        var batch = Batch(lengths: [], seed: 5)
        let before = batch.buffer
        batch.seal(with: implementation)
        batch.open(with: implementation)
        #expect(batch.buffer == before)
    }

    @Test(
        "a packet outside the buffer traps",
        arguments: [(-1, 10), (0, 85), (100, 0), (101, 0), (Int.max, 16), (8, Int.max), (0, -1)])
    func outside(offset: Int, length: Int) async {
        await #expect(processExitsWith: .failure) { [offset, length] in
            var batch = Batch(buffer: [UInt8](repeating: 0, count: 100))
            batch.packets = [AEADPacket(offset: offset, length: length, counter: 0)]
            batch.seal(with: .fastest)
        }
    }

    @Test("a packet may end at the last byte of the buffer")
    func inside() {
        var batch = Batch(buffer: [UInt8](repeating: 0, count: 100))
        batch.packets = [AEADPacket(offset: 0, length: 84, counter: 0)]
        batch.seal(with: .fastest)
        #expect(batch.packets[0].length == 100)
        batch.open(with: .fastest)
        #expect(batch.packets[0].isAuthentic)
    }
}

/// How a sealed packet is forged.
enum Forgery: CaseIterable {
    case ciphertext, tag, counter, truncation
}

/// A buffer with packets, and the expected results.
private struct Batch {
    var buffer: [UInt8]
    var packets: [AEADPacket] = []
    var plaintexts: [[UInt8]] = []
    private var gaps: [Range<Int>] = []
    private let key: [UInt8]

    init(buffer: [UInt8]) {
        self.buffer = buffer
        key = (0..<32).map { UInt8($0) }
    }

    /// Makes packets of these lengths, with random contents, gaps and counters.
    init(lengths: [Int], seed: UInt64) {
        var random = SeededRandom(seed: seed)
        key = filled(32) { random.fill(&$0) }
        buffer = []
        for length in lengths {
            gap(Int(random.next(below: 20)))
            let plaintext = filled(length) { random.fill(&$0) }
            plaintexts.append(plaintext)
            // The ends of the range, the carry into the second word, and a random value.
            let counters = [0, 1, 0xFFFF_FFFF, 1 << 32, .max - 1, .max, random.nextUInt64()]
            let counter = counters[Int(random.next(below: UInt64(counters.count)))]
            packets.append(
                AEADPacket(offset: buffer.count, length: length, counter: counter))
            buffer += plaintext
            buffer += [UInt8](repeating: 0xEE, count: 16)
        }
        gap(Int(random.next(below: 20)))
    }

    private mutating func gap(_ count: Int) {
        gaps.append(buffer.count..<buffer.count + count)
        buffer += [UInt8](repeating: 0xEE, count: count)
    }

    /// Seals all packets. Their lengths include the tags afterwards.
    mutating func seal(with implementation: AEADImplementation) {
        guard let key = SymmetricKey(bytes: key.raw) else { preconditionFailure() }
        let packets = packets
        buffer.withRaw {
            ChaCha20Poly1305.seal(packets.span, in: &$0, key: key, using: implementation)
        }
        for index in packets.indices { self.packets[index].length += 16 }
    }

    mutating func open(with implementation: AEADImplementation) {
        guard let key = SymmetricKey(bytes: key.raw) else { preconditionFailure() }
        var packets = packets
        buffer.withRaw {
            var span = packets.mutableSpan
            ChaCha20Poly1305.open(&span, in: &$0, key: key, using: implementation)
        }
        self.packets = packets
    }

    /// The bytes at the place of the plaintext of a packet.
    func plaintext(at index: Int) -> [UInt8] {
        Array(buffer[packets[index].offset...].prefix(plaintexts[index].count))
    }

    mutating func forge(_ forgery: Forgery, at index: Int, bit: Int) {
        let packet = packets[index]
        switch forgery {
        case .ciphertext:
            buffer[packet.offset + bit / 8 % (packet.length - 16)] ^= 1 << UInt8(bit % 8)
        case .tag:
            buffer[packet.offset + packet.length - 16 + bit / 8 % 16] ^= 1 << UInt8(bit % 8)
        case .counter:
            packets[index].counter ^= 1 << UInt64(bit % 64)
        case .truncation:
            // One byte shorter: the last byte of the ciphertext becomes the first one of the tag.
            packets[index].length -= 1
            plaintexts[index].removeLast()
        }
    }

    mutating func expectSealsLikeSingleCalls(with implementation: AEADImplementation) {
        let secret = Secret32(copying: key.raw)
        seal(with: implementation)
        for (packet, plaintext) in zip(packets, plaintexts) {
            let expected = filled(plaintext.count + 16) {
                ChaCha20Poly1305.seal(
                    plaintext.raw, additionalData: RawSpan(), counter: packet.counter, key: secret,
                    into: &$0)
            }
            let isEqual = buffer[packet.offset...].prefix(expected.count).elementsEqual(expected)
            #expect(isEqual, "\(packet)")
        }
        expectGapsUntouched()
    }

    mutating func expectOpens(with implementation: AEADImplementation) {
        open(with: implementation)
        for index in packets.indices {
            #expect(packets[index].isAuthentic)
            #expect(plaintext(at: index) == plaintexts[index])
        }
        expectGapsUntouched()
    }

    func expectGapsUntouched() {
        for gap in gaps { #expect(buffer[gap].allSatisfy { $0 == 0xEE }) }
    }
}
