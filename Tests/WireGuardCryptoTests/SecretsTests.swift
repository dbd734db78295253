import Glibc
import Testing
import WireGuardCrypto

@Suite struct SecretSlabTests {
    @Test("a slot is zero when allocated and after release")
    func wiped() {
        let slab = SecretSlab()
        let slot = slab.allocate()
        #expect(slot.isZero)
        slot.fillForTests(with: 0xA7)
        #expect(!slot.isZero)
        slab.release(slot)
        #expect(slot.isZero)
    }

    @Test("the slot that was released last is allocated next")
    func reuse() {
        let slab = SecretSlab()
        let first = slab.allocate()
        let second = slab.allocate()
        #expect(first != second)
        slab.release(first)
        let third = slab.allocate()
        #expect(third == first)
        #expect(slab.slotsInUse == 2 && slab.chunkCount == 1)
    }

    @Test("the slab grows by a chunk when all slots are in use, and never allocates a slot twice")
    func growth() {
        let slab = SecretSlab()
        #expect(slab.chunkCount == 0)
        var slots: Set<SecretSlab.Slot> = []
        for _ in 0..<2 * SecretSlab.slotsPerChunk + 1 {
            let slot = slab.allocate()
            #expect(slot.isZero)
            slot.fillForTests(with: 0xFF)
            slots.insert(slot)
        }
        #expect(slots.count == 2 * SecretSlab.slotsPerChunk + 1)
        #expect(slab.chunkCount == 3)
        for slot in slots { slab.release(slot) }
        #expect(slots.allSatisfy { $0.isZero })
        #expect(slab.slotsInUse == 0)
        for _ in slots { _ = slab.allocate() }
        #expect(slab.chunkCount == 3)
    }

    @Test("the slab works without locked memory and reports it")
    func unlocked() async {
        await #expect(processExitsWith: .success) {
            var none = rlimit(rlim_cur: 0, rlim_max: 0)
            let isLimited = unsafe setrlimit(__rlimit_resource_t(__RLIMIT_MEMLOCK.rawValue), &none)
            try #require(isLimited == 0)
            // Root may exceed the limit, so become nobody. Other users are limited anyway.
            if getuid() == 0 { try #require(setuid(65534) == 0) }
            let slab = SecretSlab()
            let isLockedEmpty = slab.isLocked
            #expect(isLockedEmpty)
            let slot = slab.allocate()
            let isLocked = slab.isLocked
            #expect(!isLocked)
            #expect(slot.isZero)
            slot.fillForTests(with: 1)
            slab.release(slot)
            #expect(slot.isZero)
        }
    }

    @Test("chunks are locked if the limit allows it")
    func locked() async {
        await #expect(processExitsWith: .success) {
            let slab = SecretSlab()
            _ = slab.allocate()
            let isLocked = slab.isLocked
            #expect(isLocked)
        }
    }

    @Test("concurrent threads never share a slot")
    func threads() async {
        let intact = await withTaskGroup(of: Bool.self) { group in
            for task in UInt8(1)...8 {
                group.addTask { Self.churn(task) }
            }
            return await group.reduce(true) { $0 && $1 }
        }
        #expect(intact)
    }

    /// Fills secrets with one value and returns whether another thread changed them.
    private static func churn(_ task: UInt8) -> Bool {
        let pattern = [UInt8](repeating: task, count: 32)
        for _ in 0..<1000 {
            var secret = Secret32()
            guard secret.isZero else { return false }
            var bytes = secret.mutableBytes
            bytes.copy(pattern.raw)
            let copy = secret.copy()
            guard ConstantTime.equal(copy.bytes, pattern.raw), secret == copy else { return false }
        }
        return true
    }
}

/// Each test uses a separate process, so that other tests cannot reuse the inspected slot.
@Suite struct SecretLifetimeTests {
    @Test("a secret is wiped at the end of its lifetime")
    func end() async {
        await #expect(processExitsWith: .success) {
            let slot = pattern().slotForTests
            #expect(slot.isZero)
            let secret = pattern()
            let held = secret.slotForTests
            #expect(!held.isZero)
            #expect(held == slot)
            _ = consume secret
            #expect(held.isZero)
        }
    }

    @Test("a secret is wiped when another one replaces it")
    func replaced() async {
        await #expect(processExitsWith: .success) {
            var secret = pattern()
            let slot = secret.slotForTests
            secret = pattern()
            #expect(slot.isZero)
            let next = secret.slotForTests
            #expect(next != slot && !next.isZero)
            secret.wipe()
            #expect(next.isZero)
        }
    }

    @Test("a key and its copy are wiped independently")
    func keys() async {
        await #expect(processExitsWith: .success) {
            let before = SecretSlab.shared.slotsInUse
            try holdKeys { #expect(SecretSlab.shared.slotsInUse == before + $0) }
            #expect(SecretSlab.shared.slotsInUse == before)
        }
    }

    @Test("all slots are released when an agreement fails, a key is derived or a length is wrong")
    func noLeak() async {
        await #expect(processExitsWith: .success) {
            let before = SecretSlab.shared.slotsInUse
            try useEverything()
            #expect(SecretSlab.shared.slotsInUse == before)
        }
    }

    @Test("comparison of secrets is correct")
    func equality() {
        let bytes = (0..<32).map { UInt8($0) }
        let secret = Secret32(copying: bytes.raw)
        let same = Secret32(copying: bytes.raw)
        let isEqual = secret == same
        #expect(isEqual)
        for bit in 0..<256 {
            let other = Secret32(copying: flipping(bytes, bit).raw)
            let isEqual = secret == other
            #expect(!isEqual)
        }
    }

    @Test("spans are equal if lengths and bytes are")
    func spans() {
        let bytes = Array("constant".utf8)
        let longer = bytes + [0]
        let other = Array("constanT".utf8)
        let same = ConstantTime.equal(bytes.raw, bytes.raw)
        #expect(same)
        let empty = ConstantTime.equal(RawSpan(), RawSpan())
        #expect(empty)
        let ofOtherLength = ConstantTime.equal(bytes.raw, longer.raw)
        #expect(!ofOtherLength)
        let ofOtherBytes = ConstantTime.equal(bytes.raw, other.raw)
        #expect(!ofOtherBytes)
    }
}

/// A secret of 0xA7 bytes.
private func pattern() -> Secret32 {
    Secret32(copying: [UInt8](repeating: 0xA7, count: 32).raw)
}

/// Holds keys and calls `body` with their number.
private func holdKeys(_ body: (Int) -> Void) throws {
    let bytes = (0..<32).map { UInt8($0) }
    let key = SymmetricKey(pattern())
    guard let preshared = PresharedKey(bytes: bytes.raw) else { throw WrongLength() }
    body(2)
    let copy = endingOriginal(preshared)
    body(2)
    let copied = copy.bytes.array
    #expect(copied == bytes)
    let held = key.bytes.array
    #expect(held == [UInt8](repeating: 0xA7, count: 32))
}

private func endingOriginal(_ key: consuming PresharedKey) -> PresharedKey {
    key.copy()
}

private func useEverything() throws {
    var random = SeededRandom(seed: 9)
    let privateKey = PrivateKey(random: &random)
    _ = try? Curve25519.sharedSecret(privateKey, try publicKey([UInt8](repeating: 0, count: 32)))
    var chainingKey = try Curve25519.sharedSecret(privateKey, privateKey.publicKey)
    var key = Secret32()
    var hash = Secret32()
    KDF.kdf3(
        chainingKey: &chainingKey, input: privateKey.bytes, hash: &hash, key: &key)
    _ = PrivateKey(bytes: RawSpan())
    _ = PresharedKey(bytes: RawSpan())
    _ = SymmetricKey(bytes: RawSpan())
}
