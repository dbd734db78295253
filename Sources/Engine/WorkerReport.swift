/// An event on a worker that is worth a log line.
package enum WorkerReport: Sendable {
    /// Waiting for events failed. The worker ends.
    case cannotWait(any Error)
    /// Some of the new sockets cannot be waited on.
    case cannotListen(any Error)
    /// Receiving failed with this errno. The worker tries again. At most one report in 10 s.
    case cannotReceive(errno: Int32)
    /// Reading from the TUN failed with this errno. The worker tries again. At most one report in
    /// 10 s.
    case cannotRead(errno: Int32)
    /// A segmented send was refused with this errno. Reported once.
    case segmentationRefused(errno: Int32)
    /// The TUN refused a super-packet. Reported once.
    case superPacketRefused
    /// A datagram of this device came back through the tunnel: the endpoint of a peer is routed into
    /// the tunnel to that peer.
    case routingLoop
}
