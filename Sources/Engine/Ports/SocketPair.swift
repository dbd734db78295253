/// The UDP sockets of one worker, one for each address family.
protocol SocketPair: Sendable {
    /// A socket of one family. It is valid as long as the pair that it came from is kept.
    associatedtype Socket: Sendable

    /// The IPv4 socket; nil if the host has no IPv4.
    var socket4: Socket? { get }
    /// The IPv6 socket; nil if the host has no IPv6.
    var socket6: Socket? { get }
    /// Whether the kernel supports segmented sends. A device may still refuse them.
    var hasSegmentation: Bool { get }
}
