/// A Curve25519 public key: the identity of a peer.
///
/// Any 32 bytes are one, points of low order included: such a peer may be configured, but a
/// Diffie-Hellman with it fails.
public struct PublicKey: Hashable, Sendable, BitwiseCopyable {
    private var storage: Bytes32

    /// The number of bytes.
    public static let byteCount = 32

    /// A copy of `bytes`; nil unless there are 32.
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

    /// Whether it is all zeros, which stands for no key.
    public var isZero: Bool { storage.isZero }
}

/// A Curve25519 private key, clamped.
public struct PrivateKey: ~Copyable, Sendable {
    let secret: Secret32

    /// The number of bytes.
    public static let byteCount = 32

    /// A copy of `bytes`, clamped; nil unless there are 32. All zeros, which stand for no key where
    /// keys are written, become an ordinary key: ask before.
    public init?(bytes: RawSpan) {
        guard bytes.byteCount == Self.byteCount else { return nil }
        self.init(clamping: Secret32(copying: bytes))
    }

    /// A new key.
    public init(random: inout some RandomSource) {
        self.init(clamping: Secret32(random: &random))
    }

    /// Takes over `secret` and clamps it.
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

    /// The 32 bytes; whoever copies them wipes the copy.
    public var bytes: RawSpan {
        @_lifetime(borrow self)
        get { secret.bytes }
    }

    /// The key that belongs to it: one scalar multiplication, so keep it.
    public var publicKey: PublicKey { Curve25519.publicKey(of: self) }

    /// Another owner of the same key.
    public borrowing func copy() -> PrivateKey {
        // Clamping a clamped key changes nothing.
        PrivateKey(clamping: secret.copy())
    }

    /// Whether both are the same key, in constant time.
    public static func == (left: borrowing PrivateKey, right: borrowing PrivateKey) -> Bool {
        left.secret == right.secret
    }
}

/// The symmetric key that two peers may share beforehand; zeros are the same as none.
public struct PresharedKey: ~Copyable, Sendable {
    let secret: Secret32

    /// The number of bytes.
    public static let byteCount = 32

    /// No preshared key: zeros.
    public init() {
        secret = Secret32()
    }

    /// A copy of `bytes`; nil unless there are 32.
    public init?(bytes: RawSpan) {
        guard bytes.byteCount == Self.byteCount else { return nil }
        secret = Secret32(copying: bytes)
    }

    init(_ secret: consuming Secret32) {
        self.secret = secret
    }

    /// The 32 bytes; whoever copies them wipes the copy.
    public var bytes: RawSpan {
        @_lifetime(borrow self)
        get { secret.bytes }
    }

    /// Whether there is none, in constant time.
    public var isZero: Bool { secret.isZero }

    /// Another owner of the same key.
    public borrowing func copy() -> PresharedKey {
        PresharedKey(secret.copy())
    }

    /// Whether both are the same key, in constant time.
    public static func == (left: borrowing PresharedKey, right: borrowing PresharedKey) -> Bool {
        left.secret == right.secret
    }
}

/// A key of one direction of a session. Its bytes never move, and any thread may seal or open with
/// it as long as it lives.
package struct SymmetricKey: ~Copyable, Sendable {
    let secret: Secret32

    /// The number of bytes.
    package static let byteCount = 32

    /// Takes over a derived secret.
    package init(_ secret: consuming Secret32) {
        self.secret = secret
    }

    /// A copy of `bytes`; nil unless there are 32.
    package init?(bytes: RawSpan) {
        guard bytes.byteCount == Self.byteCount else { return nil }
        secret = Secret32(copying: bytes)
    }

    /// The 32 bytes; whoever copies them wipes the copy.
    package var bytes: RawSpan {
        @_lifetime(borrow self)
        get { secret.bytes }
    }

    /// Whether both are the same key, in constant time.
    package static func == (left: borrowing SymmetricKey, right: borrowing SymmetricKey) -> Bool {
        left.secret == right.secret
    }
}
