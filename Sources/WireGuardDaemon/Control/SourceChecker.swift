import LinuxIO
import Packets
import WireGuard

/// Decides whether a source may be used for a remote, as the kernel's WireGuard does for each route that it
/// looks up.
///
/// An IPv4 source is dropped if it is no address of the host any more, or if the route leaves by another
/// interface than the one where the peer's message arrived. For IPv6, sending itself checks the first rule,
/// and the second one applies to link-local addresses and once the route has left by that interface: the
/// source then belongs to a route that was replaced. The kernel keeps such an IPv6 source, which networks
/// that check sources would refuse on the new route.
struct SourceChecker: ~Copyable {
    private let lookup: RouteLookup?

    /// - Parameter lookup: nil to keep all sources, since the system does not permit look-ups.
    init(_ lookup: consuming RouteLookup?) {
        self.lookup = lookup
    }

    /// Answers a question about the route to a peer.
    func verdict(on check: SourceCheck, through socket: RouteLookup.Socket) -> SourceVerdict {
        let present = answer(check.remote, check.source, socket)
        guard let source = check.source else {
            return SourceVerdict(isUsable: true, route: number(of: present))
        }
        var other: RouteLookup.Answer?
        let isUsable = Self.isUsable(
            source, for: check.remote, present, hasAgreed: check.hasAgreed
        ) {
            let answer = answer(check.remote, nil, socket)
            other = answer
            return answer
        }
        guard isUsable else {
            // The system chooses another source, and perhaps another route.
            let answer = other ?? answer(check.remote, nil, socket)
            return SourceVerdict(isUsable: false, route: number(of: answer))
        }
        var agrees = false
        if case .route(let route) = present {
            agrees = route.interfaceIndex == source.interfaceIndex
        }
        return SourceVerdict(isUsable: true, agrees: agrees, route: number(of: present))
    }

    /// Whether a datagram to a sender that is no peer may have this source.
    func isUsable(
        _ source: SourceAddress, for remote: SocketAddress, through socket: RouteLookup.Socket
    ) -> Bool {
        Self.isUsable(source, for: remote, answer(remote, source, socket), hasAgreed: false) {
            answer(remote, nil, socket)
        }
    }

    private func answer(
        _ remote: SocketAddress, _ source: SourceAddress?, _ socket: RouteLookup.Socket
    ) -> RouteLookup.Answer {
        switch lookup {
        case .some(let lookup): lookup.route(to: remote, from: source?.address, through: socket)
        case .none: .unknown
        }
    }

    /// The rule. Without a route the source stays, so that nothing is lost while a route is replaced.
    ///
    /// - Parameters:
    ///   - answer: the answer to a look-up with the source.
    ///   - hasAgreed: whether the route left by the interface of arrival before.
    ///   - other: looks up the route without the source. A refusal does not tell whether the source or
    ///     the route is missing.
    static func isUsable(
        _ source: SourceAddress, for remote: SocketAddress, _ answer: RouteLookup.Answer,
        hasAgreed: Bool, withoutSource other: () -> RouteLookup.Answer
    ) -> Bool {
        let isIPv4 = if case .v4 = source.address { true } else { false }
        switch answer {
        case .route(let route):
            guard isIPv4 || hasAgreed || source.needsInterface(to: remote) else { return true }
            return source.interfaceIndex == 0 || source.interfaceIndex == route.interfaceIndex
        case .refused:
            guard isIPv4, case .route = other() else { return true }
            return false
        case .unknown: return true
        }
    }

    /// A number that differs for another next hop or another MTU of its link.
    private func number(of answer: RouteLookup.Answer) -> Int? {
        guard case .route(let route) = answer else { return nil }
        var hasher = Hasher()
        hasher.combine(route)
        switch lookup {
        case .some(let lookup): hasher.combine(lookup.mtu(of: route.interfaceIndex))
        case .none: break
        }
        return hasher.finalize()
    }
}

extension Interface {
    private var socket: RouteLookup.Socket {
        RouteLookup.Socket(mark: device.firewallMark, port: configurator.sockets.port)
    }

    /// Answers the device's questions about routes.
    func checkSources() {
        let checks = device.takeSourceChecks()
        guard !checks.isEmpty else { return }
        let socket = socket
        for check in checks {
            device.finish(check, sourceChecker.verdict(on: check, through: socket))
        }
    }

    /// Checks the sources of datagrams to senders that are no peers: cookie replies. Those of peers have been
    /// checked.
    func checkSources(of datagrams: inout [UDPTransmit<[UInt8]>]) {
        let socket = socket
        // A flood from one sender is answered by many datagrams with equal addresses.
        var last: (remote: SocketAddress, source: SourceAddress, isUsable: Bool)?
        for index in datagrams.indices where datagrams[index].peer == nil {
            let remote = datagrams[index].remote
            guard let source = datagrams[index].source else { continue }
            let isUsable =
                if let last, last.remote == remote, last.source == source {
                    last.isUsable
                } else {
                    sourceChecker.isUsable(source, for: remote, through: socket)
                }
            last = (remote, source, isUsable)
            if !isUsable { datagrams[index].source = nil }
        }
    }
}
