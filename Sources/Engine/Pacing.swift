/// Decides how much a worker handles in one turn, and when it yields the processor or rests.
///
/// Workers run at a higher priority than programs. Without pacing, a program that shares a processor
/// with a worker would be starved, and a datagram socket overflows within milliseconds.
///
/// A turn is what a worker handles for one event: a few reads of the TUN or receives of a socket.
struct Pacing: Sendable {
    /// What happened.
    enum Event: Sendable {
        /// The TUN became readable.
        case readable(isUp: Bool)
        /// A packet or super-packet was read from the TUN.
        case read(byteCount: Int, isInnerUDP: Bool)
        /// The turn of the TUN ended.
        case endedReading
        /// A socket became readable.
        case receivable
        /// A write of this many inner UDP packets to the TUN ended, accepted or refused.
        case wroteInnerUDP(Int)
        /// Messages were received and opened, and their packets written to the TUN. Of the bytes
        /// received, `innerUDPBytes` were inner UDP packets.
        case received(messages: Int, byteCount: Int, innerUDPBytes: Int)
        /// The turn of a socket ended.
        case endedReceiving(isEmpty: Bool)
        /// The worker has handled all events and is about to wait.
        case willWait
    }

    /// What to do next.
    enum Step: Equatable, Sendable {
        /// Continue.
        case proceed
        /// Let other threads run, then continue.
        case yield
        /// Sleep, then continue.
        case rest(nanoseconds: Int)
    }

    /// How often packets arrived before the device was up.
    private var waitsForUp = 0
    /// Reads or receives of this turn, and their bytes.
    private var turnCalls = 0
    private var turnBytes = 0
    /// Whether inner UDP packets were read from the TUN in this turn.
    private var hasReadInnerUDP = false
    /// Whether the last receive brought small messages, so that many may be received at once.
    private var areMessagesSmall = true
    /// Whether the last receive consisted mostly of inner UDP packets.
    private var areMostlyInnerUDP = false
    /// Inner UDP packets written to the TUN since the last yield or rest.
    private var unyieldedInnerUDP = 0
    /// Bytes of inner UDP packets written to the TUN since a turn last emptied a socket, and bytes of
    /// everything else in either direction.
    private var innerUDPBytes = 0
    private var otherBytes = 0
    /// Bytes read and received since the last wait.
    private var carriedBytes = 0

    /// The maximum number of reads and receives in a turn.
    private static let readsPerTurn = 64
    private static let receivesPerTurn = 8
    /// The turn ends after this many bytes. Acknowledgements wait in the sockets or answers in the
    /// TUN, and a full turn of super-packets would delay them by milliseconds.
    private static let bytesPerTurn = 256 << 10
    /// The maximum number of messages of one receive.
    static let maximumMessages = 32
    /// The limit while messages are large: they still fit the cache, and are not held back until
    /// more arrive.
    private static let largeMessages = 8
    /// The limit while they are mostly inner UDP packets, to avoid bursts into the reader's socket.
    private static let innerUDPMessages = 2
    /// Messages are small if a full receive of them is no larger than ``bytesPerTurn``.
    private static let smallMessageBytes = bytesPerTurn / maximumMessages
    /// Yield after this many inner UDP packets. A socket with the default buffer holds about 80 of
    /// 1300 bytes.
    private static let innerUDPPerYield = 16
    /// The rest after inner UDP packets, in nanoseconds per byte: 1.6 Gbit/s, which most programs can read.
    private static let restPerByte = 5
    /// The kernel ends a rest about this much late.
    private static let shortestRest = 50_000
    private static let longestRest = 200_000
    /// A flow that is not held up carries at least this much between two waits: half a super-packet.
    private static let busyByteCount = 32 << 10
    private static let maximumWaitsForUp = 1000
    private static let waitForUp = 1_000_000

    /// Whether another read fits the turn.
    var mayRead: Bool { turnCalls < Self.readsPerTurn && turnBytes < Self.bytesPerTurn }

    /// Whether another receive fits the turn.
    var mayReceive: Bool { turnCalls < Self.receivesPerTurn && turnBytes < Self.bytesPerTurn }

    /// Whether nothing was read or received yet in this turn.
    var isFirstCall: Bool { turnCalls == 0 }

    /// How many messages the next receive may take.
    var receiveLimit: Int {
        if areMessagesSmall { return Self.maximumMessages }
        return areMostlyInnerUDP ? Self.innerUDPMessages : Self.largeMessages
    }

    /// Takes note of an event.
    mutating func handle(_ event: Event) -> Step {
        switch event {
        case .readable(let isUp):
            beginTurn()
            return waitForUp(isUp)
        case .receivable:
            beginTurn()
            return .proceed
        case .read(let byteCount, let isInnerUDP):
            count(byteCount)
            otherBytes &+= byteCount
            if isInnerUDP { hasReadInnerUDP = true }
            return .proceed
        case .endedReading:
            return stepAfterReading()
        case .wroteInnerUDP(let packets):
            unyieldedInnerUDP += packets
            return unyieldedInnerUDP >= Self.innerUDPPerYield ? yieldToReader() : .proceed
        case .received(let messages, let byteCount, let innerUDPBytes):
            noteReceived(messages, byteCount, innerUDPBytes)
            return .proceed
        case .endedReceiving(let isEmpty):
            return stepAfterReceiving(isEmpty)
        case .willWait:
            return stepBeforeWaiting()
        }
    }

    private mutating func beginTurn() {
        turnCalls = 0
        turnBytes = 0
        hasReadInnerUDP = false
    }

    private mutating func count(_ byteCount: Int) {
        turnCalls += 1
        turnBytes += byteCount
        carriedBytes += byteCount
    }

    /// The kernel delivers packets as soon as the interface is up, which may be before the control
    /// thread learns of it. Waits for the control thread, or the first packet would be dropped. The
    /// wait is limited: packets left in an interface that went down are read and dropped.
    private mutating func waitForUp(_ isUp: Bool) -> Step {
        if isUp {
            waitsForUp = 0
            return .proceed
        }
        guard waitsForUp < Self.maximumWaitsForUp else { return .proceed }
        waitsForUp += 1
        return .rest(nanoseconds: Self.waitForUp)
    }

    /// Yields to a sender of datagrams. Since workers run first, each datagram would otherwise be
    /// read before the next is written, and cost a wake-up, a context switch and a send. Between two
    /// busy processors, this tripled the throughput of 64-byte datagrams.
    private func stepAfterReading() -> Step {
        hasReadInnerUDP ? .yield : .proceed
    }

    private mutating func noteReceived(_ messages: Int, _ byteCount: Int, _ datagrams: Int) {
        count(byteCount)
        areMessagesSmall = byteCount <= messages * Self.smallMessageBytes
        // Includes the overhead of the messages, which makes no difference here.
        let others = max(byteCount - datagrams, 0)
        areMostlyInnerUDP = datagrams > others
        innerUDPBytes &+= datagrams
        otherBytes &+= others
    }

    /// A turn that left data in the socket continues after other events, without a rest.
    private mutating func stepAfterReceiving(_ isEmpty: Bool) -> Step {
        if isEmpty, let rest = takeRest() { return rest }
        return unyieldedInnerUDP > 0 ? yieldToReader() : .proceed
    }

    /// UDP has no backpressure and workers outrank the reader, so yield every 16 datagrams. Yielding
    /// once per turn lost 1–2 % at 1 Gbit/s between two busy processors; this loses none.
    private mutating func yieldToReader() -> Step {
        unyieldedInnerUDP = 0
        return .yield
    }

    /// Rests in proportion to the datagrams written, so that a burst waits in our larger buffers
    /// instead of the reader's: the reader may share its processor with another program. At
    /// 1 Gbit/s in bursts of 1 ms, 2 % were lost with the rest and 7 % without. Datagrams that
    /// arrive in the meantime are then handled in larger batches.
    ///
    /// No rest unless datagrams are more than half of all traffic: it would delay the other half.
    private mutating func takeRest() -> Step? {
        defer { (innerUDPBytes, otherBytes) = (0, 0) }
        let rest = min(min(innerUDPBytes, Self.longestRest) * Self.restPerByte, Self.longestRest)
        guard rest >= Self.shortestRest, innerUDPBytes > otherBytes else { return nil }
        unyieldedInnerUDP = 0
        return .rest(nanoseconds: rest - Self.shortestRest)
    }

    /// Under load, poll once more before sleeping: it is cheaper than a wake-up. Between two busy
    /// processors a flow gained 4–9 %. Otherwise sleep at once, since only a thread that sleeps
    /// preempts others when it is woken.
    private mutating func stepBeforeWaiting() -> Step {
        defer { carriedBytes = 0 }
        return carriedBytes >= Self.busyByteCount ? .yield : .proceed
    }
}
