import CSodium

/// The state of the cryptographic libraries in this process.
///
/// `sodium_init()` selects the code for this processor; without it libsodium runs its portable code,
/// which is 20 % slower. It is called once, by ``initialize()`` or by the first secret.
public enum Cryptography {
    /// Starts the libraries. Call it early to report a failure as an error: without it, the first key
    /// traps instead. Further calls do nothing.
    public static func initialize() throws(CryptographyError) {
        guard isReady else { throw .unavailable }
    }

    /// Whether libsodium has started. The first access starts it, on any thread.
    public static let isReady = sodium_init() >= 0

    /// Whether all keys so far are in locked memory. False once an allocation exceeded RLIMIT_MEMLOCK
    /// (`ulimit -l`); keys may then be written to swap space.
    public static var areSecretsLocked: Bool { SecretSlab.shared.isLocked }

    /// The version of libsodium at run time, such as "1.0.18". libb2 reports none.
    public static var sodiumVersion: String {
        // A static string of the library, terminated by zero.
        unsafe String(cString: sodium_version_string())
    }
}

/// What can fail in cryptography. Programming errors trap instead.
public enum CryptographyError: Error, Equatable, Sendable {
    /// libsodium could not start: there is no source of randomness.
    case unavailable
    /// A Diffie-Hellman result was all zero: the public key is a point of low order.
    case zeroSharedSecret
    /// The tag does not match the ciphertext, the additional data, the nonce and the key.
    case notAuthentic
}
