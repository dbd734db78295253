import Packets

/// The address that a peer's last authentic message came from, and the local address that received
/// it (§2.1, §6.5).
///
/// The source is cached: the peer is sent to from the address that it sends to. As in the kernel, an event
/// that may change routes does not clear it. The source is used on, and checked against the present route.
struct Endpoint: Sendable {
    /// The peer's outer address and port.
    var remote: SocketAddress
    /// The local address that received the message, and the interface.
    var source: SourceAddress?
    /// The source generation in which `source` was learnt. It is forgotten in later ones.
    private var sourceGeneration: UInt32 = 0
    /// The route generation of the last check; nil before the first one.
    private var checkedGeneration: UInt32?
    /// Whether the last check found that the route disagrees with `source`.
    private var isRefused = false
    /// Whether a check found that the route leaves by the interface of arrival.
    private(set) var hasAgreed = false

    /// Creates an endpoint without a source.
    init(remote: SocketAddress) {
        self.remote = remote
    }

    /// Creates the endpoint that follows from an authentic message.
    init(remote: SocketAddress, source: SourceAddress?, _ generations: SourceGenerations) {
        self.remote = remote
        self.source = source
        sourceGeneration = generations.source
    }

    /// The source to send from; nil to let the system choose.
    func usableSource(_ generations: SourceGenerations) -> SourceAddress? {
        isRefused ? nil : learntSource(generations)
    }

    /// The source to check: also one that was refused, since the route may agree with it again.
    func learntSource(_ generations: SourceGenerations) -> SourceAddress? {
        sourceGeneration == generations.source ? source : nil
    }

    /// Whether the source was not checked since the last event that may have changed the route.
    func needsCheck(_ generations: SourceGenerations) -> Bool {
        checkedGeneration != generations.route
    }

    /// Whether a message with this remote and source teaches nothing new.
    func agrees(with new: Endpoint) -> Bool {
        remote == new.remote && source == new.source && sourceGeneration == new.sourceGeneration
    }

    /// Notes the result of a check of the source.
    mutating func noteCheck(_ verdict: SourceVerdict, routeGeneration: UInt32) {
        checkedGeneration = routeGeneration
        isRefused = !verdict.isUsable
        hasAgreed = hasAgreed || verdict.agrees
    }

    /// Forgets the source, because a send from it failed.
    mutating func forgetSource() {
        source = nil
    }
}

/// How often all sources were forgotten, and how often routes may have changed.
struct SourceGenerations: Sendable {
    /// Sources that were learnt in another generation are forgotten.
    var source: UInt32
    /// Sources that were checked in another generation must be checked again.
    var route: UInt32
}
