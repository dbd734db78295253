import LinuxIO
import Synchronization

/// How a worker wakes the control thread.
final class Bell: Sendable {
    let event: EventDescriptor

    init() throws(SystemError) {
        event = try EventDescriptor()
    }

    func ring() {
        event.signal()
    }
}

/// What the control thread leaves for a worker: new sockets, or the wish that it end.
final class Mailbox: Sendable {
    private struct Letter {
        var sockets: Sockets?
        var isLast = false
    }

    private let letter = Mutex(Letter())
    private let isDone = Atomic<Bool>(false)
    let bell: Bell

    init() throws(SystemError) {
        bell = try Bell()
    }

    /// From now on the worker uses these sockets.
    func send(_ sockets: Sockets) {
        letter.withLock { $0.sockets = sockets }
        bell.ring()
    }

    /// The worker has ended by itself: its TUN is gone.
    func sayDone() {
        isDone.store(true, ordering: .releasing)
    }

    /// Whether the worker has ended.
    var hasEnded: Bool { isDone.load(ordering: .acquiring) }

    /// The worker ends.
    func stop() {
        letter.withLock { $0.isLast = true }
        bell.ring()
    }

    /// Takes what was left: new sockets if there are, and whether to end.
    func take() -> (sockets: Sockets?, isLast: Bool) {
        bell.event.drain()
        return letter.withLock { letter in
            defer { letter.sockets = nil }
            return (letter.sockets, letter.isLast)
        }
    }
}
