import LinuxIO
import Logging
import Packets
import WireGuard

/// A thread of the packet path: one queue of the TUN, one pair of sockets, and what lies between.
///
///     TUN ─read─▶ Sealer (cut, route, seal) ─sendmmsg─▶ UDP
///     TUN ◀writev─ FlowCoalescer ◀─ Opener (open, check) ◀─recvmmsg─ UDP
///
/// It runs each batch to its end before it takes the next one, and shares nothing with other workers
/// but what ``SharedState`` guards. All its memory is made at the start.
struct Worker: ~Copyable, Sendable {
    let queue: TunQueue
    let epoll: Epoll
    let mailbox: Mailbox
    let control: WakeUp
    let log: Logger
    /// Keeps what is in `socket4` and `socket6`.
    private var sockets: UDPSocketPair?
    private(set) var socket4: HeldSocket?
    private(set) var socket6: HeldSocket?
    var sealer: Sealer
    var opener: Opener
    var coalescer: FlowCoalescer
    /// What the TUN takes joined, and when it is tried again after a refusal.
    let joined: FlowCoalescer.Coalescing
    var joiningResumes: ObservedInstant?
    var received: ReceiveBatch
    /// Whether the last receive brought small messages, so that many may be taken at once.
    var areMessagesSmall = true
    var messages: FixedArray<InboundMessage>
    var send4: SendBatch
    var send6: SendBatch
    /// Whose messages are in `send4` and `send6`.
    var peers4: FixedArray<PeerSlot>
    var peers6: FixedArray<PeerSlot>
    /// Whether the last receive brought datagrams above all.
    var areMostlyDatagrams = false
    /// How many datagrams the TUN was given since others had their turn.
    var datagramsInARow = 0
    /// How many bytes of datagrams the TUN was given since the last turn that emptied a socket.
    var datagramBytes = 0
    /// How many bytes of anything else went through meanwhile, either way.
    var otherBytes = 0
    /// How many bytes were read and received since the last wait.
    var carried = 0
    var pieces: GatherList
    var failures = FailureLog()
    /// How often packets came before the device was up.
    var waitsForUp = 0
    private var isOver = false

    /// Most messages of one receive.
    static let slots = 32
    /// Most packets that one receive can bring: 128 datagrams a message, which a sender on the same
    /// host may put into one from Linux 6.9 on; the network brings 64.
    private static let maximumPackets = slots * 128
    /// What a flow that is not held up carries between two waits: half of a super-packet.
    private static let muchByteCount = 32 << 10
    /// Room for the largest packet and its virtio header.
    static let tunBufferByteCount = 65_536 + 4096

    private enum Token {
        static let tun: UInt64 = 0
        static let v4: UInt64 = 1
        static let v6: UInt64 = 2
        static let mailbox: UInt64 = 3
    }

    /// Makes a worker for one queue.
    init(
        queue: consuming TunQueue, shared: SharedState, mailbox: Mailbox, control: WakeUp,
        offloads: Offloads, log: Logger, jitterSeed: UInt64
    ) throws(SystemError) {
        let epoll = try Epoll()
        try epoll.add(queue.descriptor, token: Token.tun)
        try epoll.add(mailbox.wakeUp.event.descriptor, token: Token.mailbox)
        let granted = queue.capabilities.offloads
        let gate = shared.makeGate()
        self.queue = queue
        self.epoll = epoll
        self.mailbox = mailbox
        self.control = control
        self.log = log
        sealer = Sealer(shared: shared, gate: gate, jitterSeed: jitterSeed)
        sealer.usesSegmentation = offloads.udpSegmentation
        opener = Opener(shared: shared, gate: gate)
        var joined: FlowCoalescer.Coalescing = []
        if granted.contains(.segments) { joined.insert(.tcp) }
        if granted.contains(.datagrams) { joined.insert(.udp) }
        self.joined = joined
        coalescer = FlowCoalescer(maximumPackets: Self.maximumPackets, coalescing: joined)
        received = ReceiveBatch(slots: Self.slots)
        messages = FixedArray(repeating: InboundMessage(), count: Self.slots)
        send4 = SendBatch(capacity: Sealer.maximumPackets, family: .v4)
        send6 = SendBatch(capacity: Sealer.maximumPackets, family: .v6)
        peers4 = FixedArray(
            repeating: PeerSlot(rawValue: 0), count: Sealer.maximumPackets)
        peers6 = FixedArray(
            repeating: PeerSlot(rawValue: 0), count: Sealer.maximumPackets)
        pieces = GatherList(capacity: 1023)
    }

    /// Works until it is told to stop or the TUN is gone.
    mutating func run() {
        var events = EpollEvents(capacity: 8)
        // Lent out for the whole life of the worker: a span of a stored property would be an access
        // to all of `self`.
        var tunBuffer = PacketBuffer(byteCount: Self.tunBufferByteCount)
        var sendBuffer = PacketBuffer(byteCount: Sealer.bufferByteCount)
        var bounceBuffer = PacketBuffer(byteCount: Sealer.bounceByteCount)
        var receiveBuffer = PacketBuffer(
            byteCount: ReceiveBatch.bufferByteCount(slots: Self.slots))
        var tun = tunBuffer.mutableBytes
        var outgoing = sendBuffer.mutableBytes
        var bounces = bounceBuffer.mutableBytes
        var incoming = receiveBuffer.mutableBytes
        while !isOver {
            let count: Int
            do throws(SystemError) {
                count = try waitForPackets(&events)
            } catch {
                log.error("a worker cannot wait for packets and ends: \(error)")
                break
            }
            for index in 0..<count where !isOver {
                switch events.token(index) {
                case Token.tun: drainTun(&tun, sending: &outgoing, bouncing: &bounces)
                case Token.v4: drain(.v4, &incoming)
                case Token.v6: drain(.v6, &incoming)
                default: readMail()
                }
            }
        }
        // The sign of a namespace that was deleted with the interface: netlink tells nothing then.
        mailbox.sayDone()
        control.signal()
    }

    /// Waits until there is something to do.
    ///
    /// After a turn that carried much it does not sleep before others of this processor had their turn. Of
    /// a full flow they mostly bring more, and to sleep and be woken costs more than to look twice: between
    /// two busy processors a flow gained 4 to 9 % by this, with no more calls for the same bytes. Otherwise
    /// it sleeps at once: only who sleeps is woken before others.
    private mutating func waitForPackets(_ events: inout EpollEvents) throws(SystemError) -> Int {
        defer { carried = 0 }
        guard carried >= Self.muchByteCount else { return try epoll.wait(into: &events) }
        let count = try epoll.wait(into: &events, milliseconds: 0)
        if count > 0 { return count }
        Thread.yield()
        return try epoll.wait(into: &events)
    }

    mutating func end() {
        isOver = true
    }

    private mutating func readMail() {
        let (sockets, number, isLast) = mailbox.take()
        if isLast { return end() }
        guard let sockets else { return }
        do throws(SystemError) {
            if let old = self.sockets?.v4 { try epoll.remove(old.socket.descriptor) }
            if let old = self.sockets?.v6 { try epoll.remove(old.socket.descriptor) }
            if let new = sockets.v4 { try epoll.add(new.socket.descriptor, token: Token.v4) }
            if let new = sockets.v6 { try epoll.add(new.socket.descriptor, token: Token.v6) }
        } catch {
            log.error("a worker cannot listen on its new sockets: \(error)")
        }
        self.sockets = sockets
        socket4 = sockets.v4.map(HeldSocket.init)
        socket6 = sockets.v6.map(HeldSocket.init)
        // A kernel that does not know of segments ignores that they are asked for.
        if !sockets.hasSegmentation { sealer.usesSegmentation = false }
        mailbox.confirm(number)
    }
}

/// Which troubles were logged already: each is worth one line, not one a packet.
struct FailureLog: Sendable {
    var hasSegmentationFailed = false
    var hasTunRefused = false
    var receiving = Failures()
    var reading = Failures()
    var empty = EmptyWakeUps()

    /// A call found nothing although the kernel said that there was something.
    mutating func noteNothing() {
        if empty.note(clock: Clock.boottime) { Clock.pause(milliseconds: 1) }
    }

    /// The failures of one kind of call, as long as none succeeds.
    struct Failures: Sendable {
        private var inARow = 0
        private var quietUntil: UInt64 = 0

        /// A call has succeeded.
        mutating func end() {
            inARow = 0
        }

        /// Holds up a thread whose calls go on failing, lest it spin: nothing that goes wrong with
        /// packets ends a reader. One line in ten seconds tells of it.
        mutating func note(_ code: Int32, of what: StaticString, in log: Logger) {
            let now = Clock.boottime()
            if now >= quietUntil {
                quietUntil = now &+ 10_000_000_000
                log.error("\(what) failed: \(SystemError.message(of: code)); trying again")
            }
            inARow = min(inARow + 1, 11)
            if inARow > 10 { Clock.pause(milliseconds: 10) }
        }
    }
}
