import CSodium

/// 32 secret bytes in locked memory, zeroed when their owner lets go of them.
///
/// It has no description, and a mirror of it shows an address at the most. To compare is to compare
/// in constant time.
@safe
public struct Secret32: ~Copyable, @unchecked Sendable {
    // Sendable: the slot is this value's alone; shared borrows only read.
    private let slot: SecretSlab.Slot

    /// The number of bytes.
    public static let byteCount = 32

    /// Zeros.
    public init() {
        slot = SecretSlab.shared.allocate()
    }

    /// A copy of `bytes`, of which there have to be 32.
    package init(copying bytes: RawSpan) {
        precondition(bytes.byteCount == Self.byteCount)
        self.init()
        var target = mutableBytes
        target.copy(bytes)
    }

    /// Random bytes.
    package init(random: inout some RandomSource) {
        self.init()
        var bytes = mutableBytes
        random.fill(&bytes)
    }

    deinit {
        SecretSlab.shared.release(slot)
    }

    /// The bytes, to read; they move only when the value ends.
    package var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            // The slot is ours until deinit, to which the span is tied.
            let span = unsafe RawSpan(_unsafeStart: slot.address, byteCount: Self.byteCount)
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    /// The bytes, to write.
    package var mutableBytes: MutableRawSpan {
        @_lifetime(&self)
        mutating get {
            let span = unsafe MutableRawSpan(_unsafeStart: slot.address, byteCount: Self.byteCount)
            return unsafe _overrideLifetime(span, mutating: &self)
        }
    }

    /// Another owner of the same bytes, in a slot of its own.
    package borrowing func copy() -> Secret32 {
        Secret32(copying: bytes)
    }

    /// Sets the bytes to zero now, ahead of the end.
    package mutating func wipe() {
        var bytes = mutableBytes
        bytes.wipe()
    }

    /// Whether all bytes are zero, in constant time.
    package var isZero: Bool { ConstantTime.isZero(bytes) }

    /// Whether both hold the same bytes, in constant time.
    public static func == (left: borrowing Secret32, right: borrowing Secret32) -> Bool {
        ConstantTime.equal(left.bytes, right.bytes)
    }

    /// The address for C, valid as long as this value lives.
    var address: UnsafeMutablePointer<UInt8> {
        unsafe slot.address.assumingMemoryBound(to: UInt8.self)
    }

    /// Where the bytes are, for tests that look at the memory after the end.
    package var slotForTests: SecretSlab.Slot { slot }
}
