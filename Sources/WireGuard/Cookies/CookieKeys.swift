import Packets
import WireGuardCrypto

/// The keys that both sides of the cookie mechanism derive from the receiver's public key (§5.4.4,
/// §5.4.7).
enum CookieKeys {
    /// Hash("mac1----" ‖ public key).
    static func mac1Key(for publicKey: PublicKey) -> Bytes32 {
        hash(label: "mac1----", publicKey)
    }

    /// Hash("cookie--" ‖ public key).
    static func cookieKey(for publicKey: PublicKey) -> Bytes32 {
        hash(label: "cookie--", publicKey)
    }

    private static func hash(label: StaticString, _ publicKey: PublicKey) -> Bytes32 {
        label.withUTF8Buffer { label in
            // The bytes of a literal are never freed.
            let label = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(label))
            return BLAKE2s.hash(label, publicKey.bytes)
        }
    }
}
