import CSodium

/// 32 secret bytes in locked memory, zeroed at the end of their lifetime.
///
/// The type has no description, and a mirror shows at most an address. `==` takes constant time.
@safe
public struct Secret32: ~Copyable, @unchecked Sendable {
    // Sendable: only this value owns the slot, and shared borrows only read it.
    private let slot: SecretSlab.Slot

    /// The number of bytes.
    public static let byteCount = 32

    /// Makes 32 zero bytes.
    public init() {
        slot = SecretSlab.shared.allocate()
    }

    /// A copy of `bytes`, which must have 32 bytes.
    package init(copying bytes: RawSpan) {
        precondition(bytes.byteCount == Self.byteCount)
        self.init()
        var target = mutableBytes
        target.copy(bytes)
    }

    /// 32 random bytes.
    package init(random: inout some RandomSource) {
        self.init()
        var bytes = mutableBytes
        random.fill(&bytes)
    }

    deinit {
        SecretSlab.shared.release(slot)
    }

    /// Read access to the bytes. Their address does not change during the lifetime of the value.
    package var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            // This value owns the slot, and the span cannot outlive the value.
            let span = unsafe RawSpan(_unsafeStart: slot.address, byteCount: Self.byteCount)
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    /// Write access to the bytes.
    package var mutableBytes: MutableRawSpan {
        @_lifetime(&self)
        mutating get {
            let span = unsafe MutableRawSpan(_unsafeStart: slot.address, byteCount: Self.byteCount)
            return unsafe _overrideLifetime(span, mutating: &self)
        }
    }

    /// A copy of the bytes in another slot.
    package borrowing func copy() -> Secret32 {
        Secret32(copying: bytes)
    }

    /// Zeroes the bytes before the end of the lifetime.
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

    /// The address for C, valid during the lifetime of this value.
    var address: UnsafeMutablePointer<UInt8> {
        unsafe slot.address.assumingMemoryBound(to: UInt8.self)
    }

    /// The slot, for tests that inspect the memory after the lifetime.
    package var slotForTests: SecretSlab.Slot { slot }
}
