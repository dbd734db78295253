import LinuxIO
import WireGuard

/// Decides what the interface does when its link changes. It makes no system call.
struct LinkFollower {
    /// One thing to do; steps are done in order.
    enum Step: Equatable {
        case setMTU(Int)
        case bringUp
        case bringDown
        /// Switch off what the kernel would send on the interface on its own.
        case quietKernel
        /// Limit super-packets to what one segmented send carries.
        case fitSuperpackets
        /// Log that the interface is up or down now.
        case report
        case end(EndReason)
    }

    /// When to look at the link again, if it sends no events.
    private(set) var nextLook: ObservedInstant?
    /// Whether the last attempt to fit super-packets failed for a reason that may pass.
    private(set) var mayFitSuperpackets = false

    private static let lookInterval = Interval.seconds(1)

    /// What follows from an event.
    ///
    /// - Parameter isUp: whether the device is up now.
    static func steps(after event: LinkMonitor.Event, isUp: Bool) -> [Step] {
        switch event {
        case .changed(let state): steps(to: state, isUp: isUp)
        // A move to another namespace resets the kernel's settings.
        case .moved(let state): [.quietKernel] + steps(to: state, isUp: isUp)
        case .removed: [.end(.interfaceDeleted)]
        case .forwarding: [.fitSuperpackets]
        }
    }

    /// What brings the device to the state of the link.
    static func steps(to state: LinkState, isUp: Bool) -> [Step] {
        guard state.isUp != isUp else { return [.setMTU(state.mtu), .fitSuperpackets] }
        // Super-packets last: the kernel may be slow at that, and packets wait.
        return [
            .setMTU(state.mtu), state.isUp ? .bringUp : .bringDown, .fitSuperpackets, .report,
        ]
    }

    /// Whether to look at the link now. True once a second while no events arrive from it.
    mutating func isLookDue(isOutOfSight: Bool, now: ObservedInstant) -> Bool {
        guard isOutOfSight else {
            nextLook = nil
            return false
        }
        if let nextLook, now < nextLook { return false }
        nextLook = now + Self.lookInterval
        return true
    }

    /// Notes the result of an attempt to fit super-packets. Missing rights will still be missing in a
    /// second; a link that is being renamed or moved will not.
    mutating func noteSuperpackets(_ errors: [SystemError]) {
        mayFitSuperpackets = errors.allSatisfy(\.isPassing)
    }
}
