import CIPsecMB

/// The code that seals and opens batches; chosen once, when a device is made.
///
/// libsodium is the one that is everywhere, and the judge: any other is used only after it gave the
/// same answers here, on this processor, in this process (``AEADSelfTest``).
package enum AEADImplementation: String, CaseIterable, Sendable {
    // The fastest first; the raw values are the values of `WG_AEAD`.

    /// intel-ipsec-mb: AVX-512 with IFMA, AVX2, AVX or SSE; x86-64 only, and only where it was
    /// installed when this was built.
    case ipsecMB = "ipsec-mb"
    /// libsodium, everywhere, one packet after the other.
    case sodium

    /// Those that can be used here, the fastest first; libsodium is the last of them.
    package static var available: [AEADImplementation] { allCases.filter { $0.obstacle == nil } }

    /// The fastest one that can be used here. None that is slower is tried out.
    package static var fastest: AEADImplementation {
        allCases.first { $0.obstacle == nil } ?? .sodium
    }

    /// Why it cannot be used; nil if it can. The first call tries it out, which takes a millisecond.
    package var obstacle: Obstacle? {
        switch self {
        case .ipsecMB: Self.obstacleOfIPsecMB
        case .sodium: nil
        }
    }

    /// What may be in the way of an implementation.
    package enum Obstacle: Sendable, Equatable, CustomStringConvertible {
        /// It is for other processors, or its library was missing when this was built.
        case notBuilt
        /// This processor cannot run it, or there is no memory for it.
        case notStarted
        /// It did not agree with libsodium.
        case wrongAnswers

        package var description: String {
            switch self {
            case .notBuilt:
                "it is not part of this build (it is for x86-64, and libipsec-mb-dev must be installed when this is built)"
            case .notStarted: "this processor cannot run it, or there is no memory for it"
            case .wrongAnswers: "it does not give the same answers as libsodium"
            }
        }
    }

    /// What it is called in a log, such as "ipsec-mb 1.3.0".
    package var nameAndVersion: String {
        switch self {
        // A static string of the library, terminated by zero.
        case .ipsecMB: unsafe "\(rawValue) \(String(cString: cipsecmb_version()))"
        case .sodium: "\(rawValue) \(Cryptography.sodiumVersion)"
        }
    }

    private static let obstacleOfIPsecMB: Obstacle? = {
        guard cipsecmb_is_built() else { return .notBuilt }
        guard unsafe cipsecmb_of_thread() != nil else { return .notStarted }
        return AEADSelfTest(.ipsecMB).passes ? nil : .wrongAnswers
    }()
}
