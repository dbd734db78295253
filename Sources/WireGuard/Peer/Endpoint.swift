import Packets

/// The address that a peer's last authentic message came from, and the local address that received
/// it (§2.1, §6.5).
struct Endpoint: Sendable {
    /// The peer's outer address and port.
    var remote: SocketAddress
    /// The local address to send from. Not used if `sourceGeneration` is outdated.
    var source: SourceAddress?
    /// The device's source generation when `source` was set.
    var sourceGeneration: UInt32 = 0
}
