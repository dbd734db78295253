import Packets
import WireGuardCrypto

/// What both sides of the cookie mechanism derive from the public key of the receiver.
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
            // The bytes of a literal live for ever.
            let label = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(label))
            return BLAKE2s.hash(label, publicKey.bytes)
        }
    }
}

/// Where the MACs of an initiation or a response are: its last 32 bytes.
enum MACs {
    static func mac1Offset(in message: RawSpan) -> Int {
        message.byteCount - 2 * BLAKE2s.macSize
    }

    static func mac2Offset(in message: RawSpan) -> Int {
        message.byteCount - BLAKE2s.macSize
    }
}
