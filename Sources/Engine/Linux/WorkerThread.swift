import LinuxIO
import Packets
import WireGuard

/// A worker on real queues and sockets, and its thread, as the control thread sees them.
///
/// The compiler specialises ``Worker`` for the types named here, which is why they are in one
/// module: it specialises code of another module only if all of it is public.
package final class WorkerThread {
    private typealias LinuxWorker = Worker<
        LinuxPacketPort, SendBatch, ReceiveBatch, LinuxWorkerHost
    >

    private let mailbox: Mailbox<UDPSocketPair>
    private var worker: LinuxWorker?
    private var thread: Thread?

    /// Creates the worker of one queue. ``start()`` starts its thread.
    ///
    /// - Parameters:
    ///   - control: wakes the control thread.
    ///   - usesSegmentation: whether segmented sends are allowed.
    ///   - report: called on the worker's thread.
    package init(
        queue: consuming TunQueue, shared: SharedState, control: WakeUp, usesSegmentation: Bool,
        jitterSeed: UInt64, report: @escaping @Sendable (WorkerReport) -> Void
    ) throws(SystemError) {
        let mail = try WakeUp()
        let host = try LinuxWorkerHost(queue: queue, mail: mail, control: control, report: report)
        let granted = queue.capabilities.offloads
        var coalescing: FlowCoalescer.Coalescing = []
        if granted.contains(.segments) { coalescing.insert(.tcp) }
        if granted.contains(.datagrams) { coalescing.insert(.udp) }
        mailbox = Mailbox { mail.signal() }
        worker = Worker(
            port: LinuxPacketPort(queue),
            sender: DualStackSender(
                SendBatch(capacity: Sealer.maximumPackets, family: .v4),
                SendBatch(capacity: Sealer.maximumPackets, family: .v6)),
            receiver: ReceiveBatch(slots: Pacing.maximumMessages), host: host, mailbox: mailbox,
            shared: shared, coalescing: coalescing, usesSegmentation: usesSegmentation,
            jitterSeed: jitterSeed)
    }

    /// Starts the thread.
    package func start() throws(SystemError) {
        guard let worker = worker.take() else { return }
        thread = try Thread.start("worker", owning: worker) { worker in
            var worker = worker
            worker.run()
        }
    }

    /// Makes the worker use these sockets.
    package func use(_ sockets: UDPSocketPair) {
        mailbox.send(sockets)
    }

    /// Whether the worker still keeps sockets that were replaced.
    package var holdsOldSockets: Bool { mailbox.holdsOldSockets }

    /// Whether the worker has ended, which it does if its TUN is gone.
    package var hasEnded: Bool { mailbox.hasEnded }

    /// Ends the worker and waits for its thread.
    package func stop() {
        mailbox.stop()
        if let thread = thread.take() { thread.join() }
    }
}
