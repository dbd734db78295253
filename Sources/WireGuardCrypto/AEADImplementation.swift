import CIPsecMB
import CLanes

/// The code that seals and opens batches, chosen when a device is created.
///
/// libsodium is always available and is the reference: another implementation is used only after it gave
/// the same results as libsodium in this process (``AEADSelfTest``).
package enum AEADImplementation: String, CaseIterable, Sendable {
    // The raw values are the values of `WG_AEAD`.

    /// Our own SIMD code for batches (Sources/CLanes), which computes another block or packet in each lane
    /// of a vector register. Needs AVX-512 with IFMA. A batch of one packet uses ipsec-mb if available.
    case lanes
    /// The same for AVX2 with BMI2.
    case lanesAVX2 = "lanes-avx2"
    /// intel-ipsec-mb, with AVX-512 with IFMA, AVX2, AVX or SSE. x86-64 only, and only if it was installed
    /// at build time.
    case ipsecMB = "ipsec-mb"
    /// libsodium, on all processors, one packet after the other.
    case sodium

    /// The usable implementations. The last one is libsodium.
    package static var available: [AEADImplementation] { allCases.filter { $0.obstacle == nil } }

    /// The candidates if none is configured, fastest first. On a processor with AVX-512 that lacks what
    /// ``lanes`` needs, ipsec-mb uses what there is. Whether ``lanesAVX2`` is faster there was not measured.
    package static let defaults: [AEADImplementation] =
        clanes_has_avx512()
        ? [.lanes, .ipsecMB, .lanesAVX2, .sodium] : [.lanesAVX2, .ipsecMB, .sodium]

    /// The fastest usable implementation. Does not test slower ones.
    package static var fastest: AEADImplementation {
        defaults.first { $0.obstacle == nil } ?? .sodium
    }

    /// The implementation that `WG_AEAD` names, nil for an unknown name. `lanes` means AVX2 on a processor
    /// without AVX-512. Does not test it: that allocates keys, and memory locks do not survive the fork(2)
    /// into the background.
    package init?(name: String) {
        guard let named = Self(rawValue: name) else { return nil }
        let isTooWide = named == .lanes && !clanes_runs(clanes_avx512) && clanes_runs(clanes_avx2)
        self = isTooWide ? .lanesAVX2 : named
    }

    /// Why it cannot be used, or nil if it can. The first call runs the self-test, which takes 1 ms.
    package var obstacle: Obstacle? {
        switch self {
        case .lanes: Self.obstacleOfLanes
        case .ipsecMB: Self.obstacleOfIPsecMB
        case .lanesAVX2: Self.obstacleOfLanesAVX2
        case .sodium: nil
        }
    }

    /// Why an implementation cannot be used.
    package enum Obstacle: Sendable, Equatable, CustomStringConvertible {
        /// It is for another architecture, or its library was missing at build time.
        case notBuilt
        /// The processor does not support it, or there is no memory for it.
        case notStarted
        /// Its results differ from those of libsodium.
        case wrongAnswers

        package var description: String {
            switch self {
            case .notBuilt:
                "not part of this build (x86-64 only; ipsec-mb needs libipsec-mb-dev at build time)"
            case .notStarted: "not supported by this processor, or not enough memory"
            case .wrongAnswers: "its results differ from those of libsodium"
            }
        }
    }

    /// The name for logs, such as "ipsec-mb 1.3.0" or "lanes (AVX-512)".
    package var nameAndVersion: String {
        switch self {
        case .lanes: "\(rawValue) (AVX-512)"
        case .lanesAVX2: "\(rawValue) (AVX2)"
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
