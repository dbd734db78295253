import Packets

/// One queue of the TUN: where a worker reads and writes inner packets.
protocol PacketPort: ~Copyable, Sendable {
    /// Whether a virtio header precedes each packet that ``read(into:)`` returns.
    var hasVirtioNetHeader: Bool { get }

    /// Reads one packet or super-packet, without waiting.
    ///
    /// - Parameter buffer: must have room for the largest packet and its virtio header.
    mutating func read(into buffer: inout MutableRawSpan) -> PacketReadResult

    /// Writes one packet or super-packet.
    ///
    /// - Parameters:
    ///   - pieces: its parts, in order. The first starts with a virtio header, which is left out if
    ///     the queue has none.
    ///   - buffer: what `pieces` are ranges of.
    mutating func write(
        _ pieces: Span<FlowCoalescer.Piece>, of buffer: RawSpan
    ) -> PacketWriteResult
}
