import CSodium
import Synchronization

/// Locked memory for secrets, cut into slots of 32 bytes.
///
/// An allocation with guard pages for each secret would cost four pages and four system calls. Here 2047
/// secrets share one, a chunk. `sodium_malloc` allocates it between guard pages, locks it into memory if
/// RLIMIT_MEMLOCK allows that, excludes it from core dumps, and adds a canary that `sodium_free` checks.
///
///     guard page │ 16 unused, canary 16 │ slot 0 │ slot 1 │ … │ slot 2046 │ guard page
///                └──────────────────────── 64 KiB ────────────────────────┘
///
/// Free slots are zero. The slab grows by chunks and never shrinks. Any thread may use it.
package struct SecretSlab: ~Copyable, Sendable {
    /// The slab with all keys of the process.
    package static let shared = SecretSlab()

    private let state = Mutex(State())

    package init() {
        precondition(Cryptography.isReady, "libsodium found no source of randomness")
    }

    deinit {
        state.withLock { $0.freeChunks() }
    }

    /// Whether all chunks are locked into memory. False once a chunk exceeded RLIMIT_MEMLOCK; its secrets
    /// may be written to swap space. The daemon logs it.
    package var isLocked: Bool { state.withLock { $0.isLocked } }

    /// The number of slots in use.
    package var slotsInUse: Int { state.withLock { $0.slotsInUse } }

    /// The number of chunks of 64 KiB.
    package var chunkCount: Int { state.withLock { $0.chunkCount } }

    /// Returns a zeroed slot, which the caller must release.
    package func allocate() -> Slot {
        state.withLock { $0.allocate() }
    }

    /// Wipes a slot that ``allocate()`` returned and makes it available again.
    package func release(_ slot: Slot) {
        state.withLock { $0.release(slot) }
    }

    /// The address of 32 bytes in a slab. The holder is responsible for exclusive access.
    @safe
    package struct Slot: Hashable, @unchecked Sendable {
        let address: UnsafeMutableRawPointer

        package static func == (left: Slot, right: Slot) -> Bool {
            unsafe left.address == right.address
        }

        package func hash(into hasher: inout Hasher) {
            unsafe hasher.combine(address)
        }

        /// Whether the bytes are zero now. For tests, which also call it after the release.
        package var isZero: Bool { unsafe sodium_is_zero(address, SecretSlab.slotSize) == 1 }

        /// Sets all bytes to one value. For tests.
        package func fillForTests(with byte: UInt8) {
            unsafe address.initializeMemory(as: UInt8.self, repeating: byte, count: slotSize)
        }
    }

    /// The size of a slot in bytes.
    static let slotSize = 32
    /// The number of slots in a chunk. They take 64 KiB minus one slot, so that the chunk and libsodium's
    /// canary fill whole pages.
    package static let slotsPerChunk = 64 * 1024 / slotSize - 1
}

extension SecretSlab {
    /// The state that the lock protects.
    private struct State: Sendable {
        var chunks: [Slot] = []
        /// Released slots. The last one is reused first.
        var released: [Slot] = []
        /// The number of slots of the last chunk that were ever allocated.
        var taken = SecretSlab.slotsPerChunk
        var slotsInUse = 0
        var isLocked = true

        var chunkCount: Int { chunks.count }

        mutating func allocate() -> Slot {
            slotsInUse += 1
            if let slot = released.popLast() { return slot }
            if taken == SecretSlab.slotsPerChunk { addChunk() }
            let offset = taken * SecretSlab.slotSize
            taken += 1
            // `taken` was less than the number of slots in a chunk.
            return unsafe Slot(address: chunks[chunks.count - 1].address + offset)
        }

        mutating func release(_ slot: Slot) {
            unsafe sodium_memzero(slot.address, SecretSlab.slotSize)
            slotsInUse -= 1
            released.append(slot)
        }

        mutating func addChunk() {
            let size = SecretSlab.slotsPerChunk * SecretSlab.slotSize
            guard let chunk = unsafe sodium_malloc(size) else {
                // Swift traps on any other failed allocation too.
                fatalError("out of memory for secrets")
            }
            // sodium_malloc does not report whether it could lock the memory, so lock it again. Page
            // locks do not nest.
            if unsafe sodium_mlock(chunk, size) != 0 { isLocked = false }
            // sodium_malloc fills memory with a pattern, but free slots must be zero.
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
