import LinuxIO
import Packets
import WireGuard

/// Sends the datagrams of the control thread through real sockets.
package struct ControlSender: ~Copyable {
    private var outbox = Outbox(
        SendBatch(capacity: 64, family: .v4), SendBatch(capacity: 64, family: .v6))
    private var buffer = PacketBuffer(byteCount: 256 << 10)

    package init() {}

    /// Sends all datagrams.
    ///
    /// - Parameter usesSegmentation: whether segmented sends are allowed.
    package mutating func send(
        _ datagrams: [UDPTransmit<[UInt8]>], through sockets: UDPSocketPair,
        usesSegmentation: Bool, now: ObservedInstant
    ) -> OutboxOutcome {
        outbox.send(
            datagrams, through: sockets, usesSegmentation: usesSegmentation, by: &buffer, now: now)
    }
}
