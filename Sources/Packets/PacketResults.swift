/// The result of reading a packet from the TUN.
package enum PacketReadResult: Equatable, Sendable {
    /// This many bytes were read, including the virtio header if there is one.
    case bytes(Int)
    /// Nothing is waiting.
    case wouldBlock
    /// The interface was deleted.
    case gone
    /// Another errno.
    case failed(Int32)
}

/// The result of writing a packet to the TUN.
package enum PacketWriteResult: Equatable, Sendable {
    /// The kernel accepted the packet.
    case written
    /// The interface is down. The packet is lost.
    case down
    /// The kernel rejected the virtio header or the packet.
    case refused
    /// The kernel's queue is full. The packet is lost.
    case wouldBlock
    /// The interface was deleted.
    case gone
    /// Another errno.
    case failed(Int32)
}
