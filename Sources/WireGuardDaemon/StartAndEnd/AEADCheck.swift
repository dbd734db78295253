import Logging
import WireGuard

/// Checks at the start that the selected AEAD implementation works, and logs which one is used.
struct AEADCheck {
    /// Why an implementation cannot be used; nil if it can.
    let obstacle: (AEADImplementation) -> AEADImplementation.Obstacle?

    /// - Parameter wanted: the value of `WG_AEAD`; nil for the fastest.
    func run(_ wanted: AEADImplementation?, log: Logger) throws(StartError) {
        if let wanted {
            if let obstacle = obstacle(wanted) { throw .aead(wanted, obstacle) }
        } else {
            logUnusable(log)
        }
        log.debug("packets are sealed by \((wanted ?? .fastest).nameAndVersion)")
    }

    /// Logs the implementations that are faster than the one in use but do not work here. Slower ones are
    /// not tested.
    private func logUnusable(_ log: Logger) {
        for implementation in AEADImplementation.defaults {
            guard let obstacle = obstacle(implementation) else { return }
            guard let level = Self.level(of: obstacle, implementation) else { continue }
            log.log(level: level, "\(implementation.nameAndVersion) is not used: \(obstacle)")
        }
    }

    static func level(
        of obstacle: AEADImplementation.Obstacle, _ implementation: AEADImplementation
    ) -> Logger.Level? {
        switch obstacle {
        case .wrongAnswers: .error
        // Many processors lack the instructions of lanes; ipsec-mb runs on all of them.
        case .notStarted: implementation == .ipsecMB ? .info : .debug
        case .notBuilt: nil
        }
    }
}
