import LinuxIO
import WireGuard

/// Waits with epoll.
struct LinuxWorkerHost: WorkerHost, ~Copyable {
    private let epoll: Epoll
    private var events = EpollEvents(capacity: 8)
    private let mail: WakeUp
    private let control: WakeUp
    private let reportEvent: @Sendable (WorkerReport) -> Void

    private enum Token {
        static let packets: UInt64 = 0
        static let datagrams4: UInt64 = 1
        static let datagrams6: UInt64 = 2
        static let mail: UInt64 = 3
    }

    /// Creates a host that waits for packets on `queue` and for mail.
    init(
        queue: borrowing TunQueue, mail: WakeUp, control: WakeUp,
        report: @escaping @Sendable (WorkerReport) -> Void
    ) throws(SystemError) {
        let epoll = try Epoll()
        try epoll.add(queue.descriptor, token: Token.packets)
        try epoll.add(mail.event.descriptor, token: Token.mail)
        self.epoll = epoll
        self.mail = mail
        self.control = control
        reportEvent = report
    }

    mutating func wait(milliseconds: Int32?) throws(SystemError) -> Int {
        try epoll.wait(into: &events, milliseconds: milliseconds)
    }

    func event(_ index: Int) -> WorkerEvent {
        switch events.token(index) {
        case Token.packets: .packets
        case Token.datagrams4: .datagrams4
        case Token.datagrams6: .datagrams6
        default: .mail
        }
    }

    mutating func listen(
        to new: UDPSocketPair, insteadOf old: UDPSocketPair?
    ) throws(SystemError) {
        if let old = old?.v4 { try epoll.remove(old.socket.descriptor) }
        if let old = old?.v6 { try epoll.remove(old.socket.descriptor) }
        if let new = new.v4 { try epoll.add(new.socket.descriptor, token: Token.datagrams4) }
        if let new = new.v6 { try epoll.add(new.socket.descriptor, token: Token.datagrams6) }
    }

    func acknowledgeMail() { mail.event.drain() }
    func wakeControlThread() { control.signal() }
    func now() -> ObservedInstant { ObservedInstant(nanoseconds: Clock.boottime()) }
    func pause(nanoseconds: Int) { Clock.pause(nanoseconds: nanoseconds) }
    func yield() { Thread.yield() }
    func report(_ event: WorkerReport) { reportEvent(event) }
}
