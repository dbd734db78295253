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
    let generations: SourceGenerations
}

/// The answer to a ``SourceCheck``.
package struct SourceVerdict: Equatable, Sendable {
    /// Whether the source may still be used.
    package var isUsable: Bool
    /// A number that differs for other routes; nil if the route is not known.
    package var route: Int?

    /// Creates a verdict.
    package init(isUsable: Bool, route: Int? = nil) {
        self.isUsable = isUsable
        self.route = route
    }
}
