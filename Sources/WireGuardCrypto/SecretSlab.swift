import CSodium
import Synchronization

/// Locked memory for secrets, cut into slots of 32 bytes.
///
/// A page-guarded allocation for each secret would cost four pages and four system calls; here 2047
/// secrets share one. A chunk comes from `sodium_malloc`: between guard pages, locked into memory
/// where the limit allows it, left out of core dumps, with a canary that `sodium_free` checks.
///
///     guard page │ 16 unused, canary 16 │ slot 0 │ slot 1 │ … │ slot 2046 │ guard page
///                └──────────────────────── 64 KiB ────────────────────────┘
///
/// Every free slot is all zero. The slab grows by chunks and never shrinks. Any thread may use it.
package struct SecretSlab: ~Copyable, Sendable {
    /// The slab in which all keys of the process live.
    package static let shared = SecretSlab()

    private let state = Mutex(State())

    package init() {
        precondition(Cryptography.isReady, "libsodium found no source of randomness")
    }

    deinit {
        state.withLock { $0.freeChunks() }
    }

    /// Whether all chunks so far are locked into memory: false once one exceeded RLIMIT_MEMLOCK,
    /// after which secrets may reach the swap space. The daemon logs it.
    package var isLocked: Bool { state.withLock { $0.isLocked } }

    /// The number of slots in use.
    package var slotsInUse: Int { state.withLock { $0.slotsInUse } }

    /// The number of chunks obtained, each of 64 KiB.
    package var chunkCount: Int { state.withLock { $0.chunkCount } }

    /// A slot of zeros that is the caller's until it is released.
    package func allocate() -> Slot {
        state.withLock { $0.allocate() }
    }

    /// Wipes a slot that ``allocate()`` gave, and takes it back.
    package func release(_ slot: Slot) {
        state.withLock { $0.release(slot) }
    }

    /// The address of 32 bytes in a slab. Whoever holds it guards the access to them.
    @safe
    package struct Slot: Hashable, @unchecked Sendable {
        let address: UnsafeMutableRawPointer

        package static func == (left: Slot, right: Slot) -> Bool {
            unsafe left.address == right.address
        }

        package func hash(into hasher: inout Hasher) {
            unsafe hasher.combine(address)
        }

        /// Whether the bytes are zero now; for tests, which ask even after the release.
        package var isZero: Bool { unsafe sodium_is_zero(address, SecretSlab.slotSize) == 1 }

        /// Writes one value to all bytes; for tests.
        package func fillForTests(with byte: UInt8) {
            unsafe address.initializeMemory(as: UInt8.self, repeating: byte, count: slotSize)
        }
    }

    /// The bytes of a slot.
    static let slotSize = 32
    /// The slots of a chunk: 64 KiB less one slot's room, so that with libsodium's canary in front
    /// the chunk fills its pages exactly.
    package static let slotsPerChunk = 64 * 1024 / slotSize - 1
}

extension SecretSlab {
    /// What the lock guards.
    private struct State: Sendable {
        var chunks: [Slot] = []
        /// Slots that were used and came back: the last one back is the first one out.
        var returned: [Slot] = []
        /// How many slots of the last chunk were ever given out.
        var taken = SecretSlab.slotsPerChunk
        var slotsInUse = 0
        var isLocked = true

        var chunkCount: Int { chunks.count }

        mutating func allocate() -> Slot {
            slotsInUse += 1
            if let slot = returned.popLast() { return slot }
            if taken == SecretSlab.slotsPerChunk { addChunk() }
            let offset = taken * SecretSlab.slotSize
            taken += 1
            // `taken` was below the slots of the chunk.
            return unsafe Slot(address: chunks[chunks.count - 1].address + offset)
        }

        mutating func release(_ slot: Slot) {
            unsafe sodium_memzero(slot.address, SecretSlab.slotSize)
            slotsInUse -= 1
            returned.append(slot)
        }

        mutating func addChunk() {
            let size = SecretSlab.slotsPerChunk * SecretSlab.slotSize
            guard let chunk = unsafe sodium_malloc(size) else {
                // As for any other allocation in Swift.
                fatalError("out of memory for secrets")
            }
            // sodium_malloc locks but does not say whether it could: lock again (locks of pages do
            // not nest) and see.
            if unsafe sodium_mlock(chunk, size) != 0 { isLocked = false }
            // It comes filled with garbage on purpose; a free slot is zero.
            unsafe sodium_memzero(chunk, size)
            unsafe chunks.append(Slot(address: chunk))
            taken = 0
        }

        mutating func freeChunks() {
            for chunk in chunks { unsafe sodium_free(chunk.address) }
            chunks = []
        }
    }
}
