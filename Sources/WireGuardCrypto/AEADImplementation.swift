import CIPsecMB
import CLanes

/// The code that seals and opens batches; chosen once, when a device is made.
///
/// libsodium is the one that is everywhere, and the judge: any other is used only after it gave the
/// same answers here, on this processor, in this process (``AEADSelfTest``).
package enum AEADImplementation: String, CaseIterable, Sendable {
    // The raw values are the values of `WG_AEAD`.

    /// Our own, for batches: each lane of a vector at work on another block or packet. It needs AVX-512
    /// with IFMA. A packet that is alone is left to ipsec-mb where that can be used.
    case lanes
    /// As ``lanes``, with AVX2 and BMI2.
    case lanesAVX2 = "lanes-avx2"
    /// intel-ipsec-mb: AVX-512 with IFMA, AVX2, AVX or SSE; x86-64 only, and only where it was
    /// installed when this was built.
    case ipsecMB = "ipsec-mb"
    /// libsodium, everywhere, one packet after the other.
    case sodium

    /// Those that can be used here; libsodium is the last of them.
    package static var available: [AEADImplementation] { allCases.filter { $0.obstacle == nil } }

    /// Those that are used without being asked for, the fastest first. Where there is AVX-512 but not
    /// all of it that ``lanes`` needs, ipsec-mb has some use for it, and it was not measured whether
    /// AVX2 is faster.
    package static let defaults: [AEADImplementation] =
        clanes_has_avx512()
        ? [.lanes, .ipsecMB, .lanesAVX2, .sodium] : [.lanesAVX2, .ipsecMB, .sodium]

    /// The fastest one that can be used here. None that is slower is tried out.
    package static var fastest: AEADImplementation {
        defaults.first { $0.obstacle == nil } ?? .sodium
    }

    /// The one that `WG_AEAD` names: `lanes` are the widest that this processor has. It is not tried out:
    /// that takes keys, in memory that a process which goes to the background afterwards has not locked.
    package init?(name: String) {
        guard let named = Self(rawValue: name) else { return nil }
        let isTooWide = named == .lanes && !clanes_runs(clanes_avx512) && clanes_runs(clanes_avx2)
        self = isTooWide ? .lanesAVX2 : named
    }

    /// Why it cannot be used; nil if it can. The first call tries it out, which takes a millisecond.
    package var obstacle: Obstacle? {
        switch self {
        case .lanes: Self.obstacleOfLanes
        case .ipsecMB: Self.obstacleOfIPsecMB
        case .lanesAVX2: Self.obstacleOfLanesAVX2
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
                "it is not part of this build (it is for x86-64, and ipsec-mb needs libipsec-mb-dev when this is built)"
            case .notStarted: "this processor cannot run it, or there is no memory for it"
            case .wrongAnswers: "it does not give the same answers as libsodium"
            }
        }
    }

    /// What it is called in a log, such as "ipsec-mb 1.3.0" or "lanes of AVX-512".
    package var nameAndVersion: String {
        switch self {
        case .lanes: "\(rawValue) of AVX-512"
        case .lanesAVX2: "\(rawValue) of AVX2"
        // A static string of the library, terminated by zero.
        case .ipsecMB: unsafe "\(rawValue) \(String(cString: cipsecmb_version()))"
        case .sodium: "\(rawValue) \(Cryptography.sodiumVersion)"
        }
    }

    private static let obstacleOfLanes = obstacle(of: clanes_avx512, as: .lanes)
    private static let obstacleOfLanesAVX2 = obstacle(of: clanes_avx2, as: .lanesAVX2)

    private static func obstacle(
        of instructions: clanes_isa, as implementation: AEADImplementation
    ) -> Obstacle? {
        guard clanes_is_built() else { return .notBuilt }
        guard clanes_runs(instructions) else { return .notStarted }
        return AEADSelfTest(implementation).passes ? nil : .wrongAnswers
    }

    private static let obstacleOfIPsecMB: Obstacle? = {
        guard cipsecmb_is_built() else { return .notBuilt }
        guard unsafe cipsecmb_of_thread() != nil else { return .notStarted }
        return AEADSelfTest(.ipsecMB).passes ? nil : .wrongAnswers
    }()
}
