import Glibc
import Testing
import WireGuardCrypto

@Suite struct SecretSlabTests {
    @Test("a slot is zero when it comes, and zero again when it has gone")
    func wiped() {
        let slab = SecretSlab()
        let slot = slab.allocate()
        #expect(slot.isZero)
        slot.fillForTests(with: 0xA7)
        #expect(!slot.isZero)
        slab.release(slot)
        #expect(slot.isZero)
    }

    @Test("the last slot that came back is the next one out")
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

    @Test("the slab grows by a chunk when all slots are out, and no slot is out twice")
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

    @Test("where memory may not be locked, the slab works and says so")
    func unlocked() async {
        await #expect(processExitsWith: .success) {
            var none = rlimit(rlim_cur: 0, rlim_max: 0)
            let isLimited = unsafe setrlimit(__rlimit_resource_t(__RLIMIT_MEMLOCK.rawValue), &none)
            try #require(isLimited == 0)
            // Root may lock whatever the limit; nobody may not. Who is not root needs no change.
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

    @Test("the chunks are locked where the limit allows it")
    func locked() async {
        await #expect(processExitsWith: .success) {
            let slab = SecretSlab()
            _ = slab.allocate()
            let isLocked = slab.isLocked
            #expect(isLocked)
        }
    }

    @Test("threads that take and give back slots at once never share one")
    func threads() async {
        let intact = await withTaskGroup(of: Bool.self) { group in
            for task in UInt8(1)...8 {
                group.addTask { Self.churn(task) }
            }
            return await group.reduce(true) { $0 && $1 }
        }
        #expect(intact)
    }

    /// Fills secrets with bytes of its own and finds whether another thread's came into them.
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

/// Each in a process of its own, where no other test takes the slot that is looked at.
@Suite struct SecretLifetimeTests {
    @Test("a secret is wiped when it ends")
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

    @Test("a secret is wiped when another one takes its place")
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

    @Test("a key and its copy end each on their own")
    func keys() async {
        await #expect(processExitsWith: .success) {
            let before = SecretSlab.shared.slotsInUse
            try holdKeys { #expect(SecretSlab.shared.slotsInUse == before + $0) }
            #expect(SecretSlab.shared.slotsInUse == before)
        }
    }

    @Test("no slot stays behind when an agreement fails, a key is derived or a length is wrong")
    func noLeak() async {
        await #expect(processExitsWith: .success) {
            let before = SecretSlab.shared.slotsInUse
            try useEverything()
            #expect(SecretSlab.shared.slotsInUse == before)
        }
    }

    @Test("secrets compare in constant time, and rightly")
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

    @Test("spans compare by length and bytes")
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

/// A secret of the bytes A7.
private func pattern() -> Secret32 {
    Secret32(copying: [UInt8](repeating: 0xA7, count: 32).raw)
}

/// Calls `body` with the number of keys that are held.
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
