import Packets
import WireGuard

/// A thread of the packet path: one TUN queue, one pair of sockets, and everything between them.
///
///     TUN ─read─▶ Sealer (cut, route, seal) ─sendmmsg─▶ UDP
///     TUN ◀writev─ FlowCoalescer ◀─ Opener (open, check) ◀─recvmmsg─ UDP
///
/// A worker finishes each batch before it starts the next. It shares nothing with other workers
/// except ``SharedState``, and allocates all memory at the start.
struct Worker<
    Port: PacketPort & ~Copyable, Sender: DatagramSender & ~Copyable,
    Receiver: DatagramReceiver & ~Copyable, Host: WorkerHost & ~Copyable
>: ~Copyable, Sendable
where Sender.Socket == Host.Sockets.Socket, Receiver.Socket == Host.Sockets.Socket {
    var port: Port
    var sender: DualStackSender<Sender>
    var receiver: Receiver
    var host: Host
    let mailbox: Mailbox<Host.Sockets>
    /// Keeps `socket4` and `socket6` valid.
    private var sockets: Host.Sockets?
    private(set) var socket4: Sender.Socket?
    private(set) var socket6: Sender.Socket?
    var sealer: Sealer
    var opener: Opener
    var coalescer: FlowCoalescer
    /// What the TUN accepts as super-packets, and when to try again after a refusal.
    let coalescing: FlowCoalescer.Coalescing
    var coalescingResumes: ObservedInstant?
    var arrivals: FixedArray<UDPArrival<SegmentRange>>
    var pacing = Pacing()
    var receiving = RepeatedFailures()
    var reading = RepeatedFailures()
    var emptyWakeUps = EmptyWakeUps()
    /// Refusals are reported once.
    var hasReportedSegmentation = false
    var hasReportedSuperPackets = false
    private var isOver = false

    /// The maximum number of packets that one receive can bring: 128 datagrams per message, which a
    /// sender on the same host can create from Linux 6.9 on. From the network it is 64.
    private static var maximumPackets: Int { Pacing.maximumMessages * 128 }
    /// Room for the largest packet and its virtio header.
    private static var tunBufferByteCount: Int { 65_536 + 4096 }

    /// Creates a worker. It waits for its first sockets in the mailbox.
    ///
    /// - Parameters:
    ///   - coalescing: what the TUN accepts as super-packets.
    ///   - usesSegmentation: whether segmented sends are allowed.
    init(
        port: consuming Port, sender: consuming DualStackSender<Sender>,
        receiver: consuming Receiver, host: consuming Host, mailbox: Mailbox<Host.Sockets>,
        shared: SharedState, coalescing: FlowCoalescer.Coalescing, usesSegmentation: Bool,
        jitterSeed: UInt64
    ) {
        precondition(receiver.slots >= Pacing.maximumMessages)
        let gate = shared.makeGate()
        self.port = port
        self.sender = sender
        self.receiver = receiver
        self.host = host
        self.mailbox = mailbox
        self.coalescing = coalescing
        sealer = Sealer(shared: shared, gate: gate, jitterSeed: jitterSeed)
        sealer.usesSegmentation = usesSegmentation
        opener = Opener(shared: shared, gate: gate)
        coalescer = FlowCoalescer(maximumPackets: Self.maximumPackets, coalescing: coalescing)
        arrivals = FixedArray(repeating: .empty, count: Pacing.maximumMessages)
    }

    /// Works until the mailbox says to end or the TUN is gone.
    mutating func run() {
        // Local variables, because a span of a stored property would be an access to all of `self`.
        var tunBuffer = PacketBuffer(byteCount: Self.tunBufferByteCount)
        var sendBuffer = PacketBuffer(byteCount: Sealer.bufferByteCount)
        var bounceBuffer = PacketBuffer(byteCount: Sealer.bounceByteCount)
        var receiveBuffer = PacketBuffer(byteCount: receiver.bufferByteCount)
        var tun = tunBuffer.mutableBytes
        var outgoing = sendBuffer.mutableBytes
        var bounces = bounceBuffer.mutableBytes
        var incoming = receiveBuffer.mutableBytes
        while !isOver {
            let count: Int
            do throws(Host.Failure) {
                count = try wait()
            } catch {
                host.report(.cannotWait(error))
                break
            }
            for index in 0..<count where !isOver {
                switch host.event(index) {
                case .packets: drainTun(&tun, sending: &outgoing, bouncing: &bounces)
                case .datagrams4: drain(.v4, &incoming)
                case .datagrams6: drain(.v6, &incoming)
                case .mail: readMail()
                }
            }
        }
        // The control thread must learn that the TUN is gone: netlink reports nothing when the whole
        // namespace was deleted.
        mailbox.reportEnd()
        host.wakeControlThread()
    }

    private mutating func wait() throws(Host.Failure) -> Int {
        let step = pacing.handle(.willWait)
        guard step != .proceed else { return try host.wait(milliseconds: nil) }
        let count = try host.wait(milliseconds: 0)
        if count > 0 { return count }
        perform(step)
        return try host.wait(milliseconds: nil)
    }

    func perform(_ step: Pacing.Step) {
        switch step {
        case .proceed: break
        case .yield: host.yield()
        case .rest(let nanoseconds): host.pause(nanoseconds: nanoseconds)
        }
    }

    mutating func end() {
        isOver = true
    }

    private mutating func readMail() {
        host.acknowledgeMail()
        let mail = mailbox.take()
        if mail.isLast { return end() }
        guard let new = mail.sockets else { return }
        do throws(Host.Failure) {
            try host.listen(to: new, insteadOf: sockets)
        } catch {
            host.report(.cannotListen(error))
        }
        sockets = new
        socket4 = new.socket4
        socket6 = new.socket6
        // A kernel without support ignores the request and sends all segments as one datagram.
        if !new.hasSegmentation { sealer.usesSegmentation = false }
        mailbox.confirm(mail.number)
    }

    /// Handles a wake-up that found nothing, although the kernel reported an event.
    mutating func noteEmptyWakeUp() {
        var wakeUps = emptyWakeUps
        let isBusyLoop = wakeUps.note { host.now().nanoseconds }
        emptyWakeUps = wakeUps
        if isBusyLoop { host.pause(nanoseconds: 1_000_000) }
    }
}
