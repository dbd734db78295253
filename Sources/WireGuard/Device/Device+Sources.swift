import Packets
import Synchronization

/// Cached sources: the local addresses that peers are sent to from (§2.1).
extension Device {
    /// Makes cached sources be checked again. Call this when routes, policy rules, links or addresses of the
    /// system may have changed.
    ///
    /// Peers with a session are checked at once, so that already their next packet leaves from the right
    /// source. If there are more than ``eagerChecks`` peers, each is checked when it is next sent to.
    package func recheckSources() {
        tables.routeGeneration.wrappingAdd(1, ordering: .relaxed)
        guard peersByKey.count <= Self.eagerChecks else { return }
        for peer in peersByKey.values where peer.keypairs.current != nil {
            unchecked.insert(peer.slot)
        }
    }

    /// The maximum number of peers that an event causes to be checked at once: about 4 ms of look-ups.
    package static let eagerChecks = 1024

    /// Forgets all cached sources, until messages arrive.
    package func forgetSources() {
        tables.sourceGeneration.wrappingAdd(1, ordering: .relaxed)
        recheckSources()
    }

    /// Forgets a peer's cached source. Call this when a send from it failed.
    package func forgetSource(of slot: PeerSlot) {
        guard peer(slot) != nil else { return }
        tables.peers[slot.rawValue].endpoint.withLock { $0?.forgetSource() }
    }

    /// Takes the questions about routes of the peers that were sent to.
    package func takeSourceChecks() -> [SourceCheck] {
        guard !unchecked.isEmpty else { return [] }
        defer { unchecked.removeAll(keepingCapacity: true) }
        return unchecked.compactMap { slot in peer(slot).flatMap { sourceCheck(of: $0) } }
    }

    /// The question about the route to a peer; nil if it has no endpoint or was checked.
    func sourceCheck(of peer: Peer) -> SourceCheck? {
        let generations = tables.sourceGenerations
        guard let endpoint = tables.peers[peer.slot.rawValue].endpoint.withLock({ $0 }),
            endpoint.needsCheck(generations)
        else { return nil }
        return SourceCheck(
            peer: peer.slot, remote: endpoint.remote, source: endpoint.learntSource(generations),
            hasAgreed: endpoint.hasAgreed, generations: generations)
    }

    /// Takes the answer to a question. If the source may not be used, datagrams that wait in the outbox are
    /// sent without it too.
    package func finish(_ check: SourceCheck, _ verdict: SourceVerdict) {
        guard peer(check.peer) != nil else { return }
        let isCurrent = tables.peers[check.peer.rawValue].noteCheck(check, verdict)
        guard isCurrent, !verdict.isUsable, check.source != nil else { return }
        withdrawSource(of: check.peer)
    }
}
