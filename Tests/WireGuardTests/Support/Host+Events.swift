import WireGuardTestSupport

@testable import WireGuard

// Counts of trace events.
extension Host {
    /// The number of initiations to a host: those on demand, or the retries.
    func initiations(to other: Host, isRetry: Bool = false) -> Int {
        causes(to: other).count { $0.isRetry == isRetry }
    }

    /// The causes of the initiations to a host, oldest first.
    func causes(to other: Host) -> [InitiationCause] {
        events.compactMap {
            if case .initiationSent(other.publicKey, _, let cause) = $0 { cause } else { nil }
        }
    }

    /// The number of responses of a host that created a session.
    func responses(of other: Host) -> Int {
        events.count {
            guard case .responseConsumed(other.publicKey, _, let remote) = $0 else { return false }
            return remote == other.address
        }
    }

    /// How often the sending keypair for a host changed.
    func rotations(for other: Host) -> Int {
        events.count {
            if case .keypairRotated(other.publicKey, _) = $0 { true } else { false }
        }
    }

    /// The number of cookies from a host that were accepted.
    func cookies(of other: Host) -> Int {
        events.count {
            if case .cookieReplyConsumed(other.publicKey, _) = $0 { true } else { false }
        }
    }

    /// The drops for a reason.
    func drops(_ reason: DropReason, _ error: HandshakeError? = nil) -> [Drop] {
        events.compactMap {
            guard case .dropped(let drop) = $0, drop.reason == reason else { return nil }
            return error == nil || drop.handshakeError == error ? drop : nil
        }
    }
}
