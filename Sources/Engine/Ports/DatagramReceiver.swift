import Packets

/// Receives messages of either address family.
protocol DatagramReceiver: ~Copyable, Sendable {
    /// What the messages are received from.
    associatedtype Socket

    /// The maximum number of messages that one call receives.
    var slots: Int { get }
    /// The size that the receive buffer must have, in bytes.
    var bufferByteCount: Int { get }

    /// Receives what is waiting, without blocking.
    ///
    /// - Parameter limit: the maximum number of messages, at least 1.
    mutating func receive(
        from socket: Socket, atMost limit: Int, into buffer: inout MutableRawSpan
    ) -> ReceiveResult

    /// A message that the last call of ``receive(from:atMost:into:)`` received.
    func arrival(_ slot: Int) -> UDPArrival<SegmentRange>
}
