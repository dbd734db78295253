import Testing
import WireGuardCrypto

@Suite struct RandomSourceTests {
    @Test("a seed always gives the same bytes, and another seed gives others")
    func seeded() {
        var first = SeededRandom(seed: 1)
        var again = SeededRandom(seed: 1)
        var other = SeededRandom(seed: 2)
        for _ in 0..<10 {
            let number = first.nextUInt64()
            #expect(again.nextUInt64() == number)
            #expect(other.nextUInt64() != number)
        }
    }

    @Test("a zero seed gives the ChaCha20 key stream of RFC 8439, A.1, vector 1")
    func stream() throws {
        let seed = [UInt8](repeating: 0, count: 32)
        guard var random = SeededRandom(seed: seed.raw) else { throw WrongLength() }
        #expect(
            filled(32) { random.fill(&$0) }
                == hex("76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"))
        #expect(SeededRandom(seed: RawSpan()) == nil)
    }

    @Test("SystemRandom fills the whole span, each time with other bytes")
    func system() {
        var random = SystemRandom()
        let first = filled(64) { random.fill(&$0) }
        let second = filled(64) { random.fill(&$0) }
        #expect(first != second)
        for start in stride(from: 0, to: 64, by: 8) {
            #expect(first[start..<start + 8].contains { $0 != 0 })
        }
        #expect(filled(0) { random.fill(&$0) } == [])
    }

    @Test("all numbers below a bound occur, and no others")
    func bounded() {
        var random = SeededRandom(seed: 3)
        #expect(random.next(below: 0) == 0)
        #expect(random.next(below: 1) == 0)
        var seen: Set<UInt64> = []
        for _ in 0..<1000 { seen.insert(random.next(below: 7)) }
        #expect(seen == Set(0..<7))
        for _ in 0..<100 { #expect(random.next(below: 1 << 63 + 1) <= 1 << 63) }
    }

    @Test("libsodium starts and reports its version")
    func start() throws {
        try Cryptography.initialize()
        try Cryptography.initialize()
        #expect(Cryptography.sodiumVersion.hasPrefix("1."))
    }
}
