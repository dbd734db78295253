import WireGuardTestSupport

@testable import WireGuard

// What a host's trace tells, counted.
extension Host {
    /// Initiations to a host: those on demand, or those that repeat one.
    func initiations(to other: Host, isRetry: Bool = false) -> Int {
        causes(to: other).count { $0.isRetry == isRetry }
    }

    /// Why initiations were sent to a host, oldest first.
    func causes(to other: Host) -> [InitiationCause] {
        events.compactMap {
            if case .initiationSent(other.publicKey, _, let cause) = $0 { cause } else { nil }
        }
    }

    /// Responses of a host that made a session.
    func responses(of other: Host) -> Int {
        events.count {
            guard case .responseConsumed(other.publicKey, _, let remote) = $0 else { return false }
            return remote == other.address
        }
    }

    /// How often another keypair began to send to a host.
    func rotations(for other: Host) -> Int {
        events.count {
            if case .keypairRotated(other.publicKey, _) = $0 { true } else { false }
        }
    }

    /// Cookies that a host sent and that were taken.
    func cookies(of other: Host) -> Int {
        events.count {
            if case .cookieReplyConsumed(other.publicKey, _) = $0 { true } else { false }
        }
    }

    /// What went no further for a reason.
    func drops(_ reason: DropReason, _ error: HandshakeError? = nil) -> [Drop] {
        events.compactMap {
            guard case .dropped(let drop) = $0, drop.reason == reason else { return nil }
            return error == nil || drop.handshakeError == error ? drop : nil
        }
    }
}
