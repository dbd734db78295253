/// A Curve25519 public key: the identity of a peer.
///
/// Any 32 bytes are valid, including points of low order. A peer with such a key can be configured, but
/// Diffie-Hellman with it fails.
public struct PublicKey: Hashable, Sendable, BitwiseCopyable {
    private var storage: Bytes32

    /// The number of bytes.
    public static let byteCount = 32

    /// Copies `bytes`; nil unless there are 32.
    public init?(bytes: RawSpan) {
        guard let storage = Bytes32(bytes) else { return nil }
        self.storage = storage
    }

    init(_ storage: Bytes32) {
        self.storage = storage
    }

    /// The 32 bytes.
    public var bytes: RawSpan {
        @_lifetime(borrow self)
        get { storage.bytes }
    }

    /// Whether all bytes are zero, which stands for no key.
    public var isZero: Bool { storage.isZero }
}

/// A Curve25519 private key, clamped.
public struct PrivateKey: ~Copyable, Sendable {
    let secret: Secret32

    /// The number of bytes.
    public static let byteCount = 32

    /// Copies and clamps `bytes`; nil unless there are 32.
    ///
    /// Zeros stand for no key in text and in the configuration protocol, but are accepted here and
    /// clamped to a valid key.
    public init?(bytes: RawSpan) {
        guard bytes.byteCount == Self.byteCount else { return nil }
        self.init(clamping: Secret32(copying: bytes))
    }

    /// Generates a key.
    public init(random: inout some RandomSource) {
        self.init(clamping: Secret32(random: &random))
    }

    /// Takes ownership of `secret` and clamps it.
    package init(clamping secret: consuming Secret32) {
        var secret = secret
        // RFC 7748, §5: a multiple of 8, with bit 254 as its highest.
        var bytes = secret.mutableBytes
        let first = unsafe bytes.unsafeLoad(fromByteOffset: 0, as: UInt8.self)
        let last = unsafe bytes.unsafeLoad(fromByteOffset: 31, as: UInt8.self)
        bytes.storeBytes(of: first & 0xF8, toByteOffset: 0, as: UInt8.self)
        bytes.storeBytes(of: last & 0x7F | 0x40, toByteOffset: 31, as: UInt8.self)
        self.secret = secret
    }

    /// The 32 bytes. If you copy them, wipe the copy.
    public var bytes: RawSpan {
        @_lifetime(borrow self)
        get { secret.bytes }
    }

    /// The public key. Costs a scalar multiplication on every access.
    public var publicKey: PublicKey { Curve25519.publicKey(of: self) }

    /// A copy in locked memory of its own.
    public borrowing func copy() -> PrivateKey {
        // Clamping a clamped key changes nothing.
        PrivateKey(clamping: secret.copy())
    }

    /// Whether both keys are equal, in constant time.
    public static func == (left: borrowing PrivateKey, right: borrowing PrivateKey) -> Bool {
        left.secret == right.secret
    }
}

/// The optional symmetric key that two peers share in advance. Zeros mean none.
public struct PresharedKey: ~Copyable, Sendable {
    let secret: Secret32

    /// The number of bytes.
    public static let byteCount = 32

    /// No preshared key: zeros.
    public init() {
        secret = Secret32()
    }

    /// Copies `bytes`; nil unless there are 32.
    public init?(bytes: RawSpan) {
        guard bytes.byteCount == Self.byteCount else { return nil }
        secret = Secret32(copying: bytes)
    }

    init(_ secret: consuming Secret32) {
        self.secret = secret
    }

    /// The 32 bytes. If you copy them, wipe the copy.
    public var bytes: RawSpan {
        @_lifetime(borrow self)
        get { secret.bytes }
    }

    /// Whether all bytes are zero, which means none, in constant time.
    public var isZero: Bool { secret.isZero }

    /// A copy in locked memory of its own.
    public borrowing func copy() -> PresharedKey {
        PresharedKey(secret.copy())
    }

    /// Whether both keys are equal, in constant time.
    public static func == (left: borrowing PresharedKey, right: borrowing PresharedKey) -> Bool {
        left.secret == right.secret
    }
}

/// The key of one direction of a session. Its bytes never move, and any thread may seal or open with it
/// during its lifetime.
package struct SymmetricKey: ~Copyable, Sendable {
    let secret: Secret32

    /// The number of bytes.
    package static let byteCount = 32

    /// Takes ownership of a derived secret.
    package init(_ secret: consuming Secret32) {
        self.secret = secret
    }

    /// Copies `bytes`; nil unless there are 32.
    package init?(bytes: RawSpan) {
        guard bytes.byteCount == Self.byteCount else { return nil }
        secret = Secret32(copying: bytes)
    }

    /// The 32 bytes. If you copy them, wipe the copy.
    package var bytes: RawSpan {
        @_lifetime(borrow self)
        get { secret.bytes }
    }

    /// Whether both keys are equal, in constant time.
    package static func == (left: borrowing SymmetricKey, right: borrowing SymmetricKey) -> Bool {
        left.secret == right.secret
    }
}
