import Packets

/// Collects messages to remotes of one address family and sends them together.
protocol DatagramSender: ~Copyable, Sendable {
    /// What the messages are sent through.
    associatedtype Socket

    /// The number of messages collected.
    var count: Int { get }
    /// The number of messages that there is room for.
    var capacity: Int { get }

    /// Adds a message. There must be room, and its remote must be of this family.
    mutating func append(_ transmit: UDPTransmit<SegmentRange>)

    /// Sends all messages in order and removes them.
    ///
    /// - Parameter buffer: what the messages are ranges of.
    mutating func flush(through socket: Socket, from buffer: RawSpan) -> SendOutcome

    /// Removes all messages.
    ///
    /// - Returns: the number of datagrams in them.
    mutating func removeAll() -> Int
}
