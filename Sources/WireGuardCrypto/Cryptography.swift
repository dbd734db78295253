import CSodium

/// What has to be true of the C libraries before any key is touched.
///
/// libsodium picks its code for this processor in `sodium_init()`; without it everything works, but
/// with the portable code, a fifth slower. So the start-up is done once, by whichever comes first:
/// ``initialize()``, or the first secret (every key lives in the ``SecretSlab``, which touches
/// ``isReady``).
public enum Cryptography {
    /// Starts the libraries, once in a process; to be called early by a daemon that wants to report
    /// a failure rather than trap at the first key.
    public static func initialize() throws(CryptographyError) {
        guard isReady else { throw .unavailable }
    }

    /// The version of libsodium that runs, such as "1.0.18". libb2 has no version at run time.
    public static var sodiumVersion: String {
        // A static string of the library, terminated by zero.
        unsafe String(cString: sodium_version_string())
    }

    /// Whether libsodium has started; starts it when asked for the first time, on any thread.
    static let isReady = sodium_init() >= 0
}

/// What can go wrong in cryptography, apart from our own bugs, which trap.
public enum CryptographyError: Error, Equatable, Sendable {
    /// libsodium could not start: there is no source of randomness.
    case unavailable
    /// A Diffie-Hellman result was all zero: the public key is a point of low order.
    case zeroSharedSecret
    /// The tag does not fit the ciphertext, the additional data, the nonce and the key.
    case notAuthentic
}
