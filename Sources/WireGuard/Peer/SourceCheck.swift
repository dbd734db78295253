import Packets

/// A question about the route to a peer: may its cached source still be used?
///
/// The owner of the sockets asks the system and answers with ``Device/finish(_:_:)``. Until then the
/// source is used as before.
package struct SourceCheck: Sendable {
    /// The peer.
    package let peer: PeerSlot
    /// Where its datagrams go.
    package let remote: SocketAddress
    /// The cached source; nil if none was learnt.
    package let source: SourceAddress?
    /// Whether the route left by the interface of arrival at an earlier check.
    package let hasAgreed: Bool
    let generations: SourceGenerations
}

/// The answer to a ``SourceCheck``.
package struct SourceVerdict: Equatable, Sendable {
    /// Whether the source may still be used.
    package var isUsable: Bool
    /// Whether the route leaves by the interface of arrival.
    package var agrees: Bool
    /// A number that differs for other routes; nil if the route is not known.
    package var route: Int?

    /// Creates a verdict.
    package init(isUsable: Bool, agrees: Bool = false, route: Int? = nil) {
        self.isUsable = isUsable
        self.agrees = agrees
        self.route = route
    }
}
