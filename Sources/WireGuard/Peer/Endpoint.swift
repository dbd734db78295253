import Packets

/// Where a peer was last heard from, and the local end that it was heard at (§2.1, §6.5).
struct Endpoint: Sendable {
    /// The peer's outer address and port.
    var remote: SocketAddress
    /// The local address to answer from; a source of an older generation is not used any more.
    var source: SourceAddress?
    /// The device's source generation when `source` was learnt.
    var sourceGeneration: UInt32 = 0
}
