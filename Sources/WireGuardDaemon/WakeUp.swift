import LinuxIO
import Synchronization
import WireGuard

/// How a worker wakes the control thread.
final class WakeUp: Sendable {
    let event: EventDescriptor

    init() throws(SystemError) {
        event = try EventDescriptor()
    }

    func signal() {
        event.signal()
    }
}

/// Whether the bell rings so often that the control thread had better wait a moment and answer several
/// rings at once: to be woken for each costs a tenth of what it then does.
struct WakeUpRate {
    private var last = ObservedInstant(nanoseconds: 0)
    private var signalsInARow = 0

    /// How long it waits, and rings that are no further apart than this many come from a crowd. One
    /// peer that makes a session rings a few times, and waits for nothing.
    static let pauseMilliseconds = 2
    private static let spacing = Interval.milliseconds(6)
    private static let manySignals = 32

    /// Notes a ring; returns whether it is one of many.
    mutating func note(at now: ObservedInstant) -> Bool {
        signalsInARow = now.since(last) <= Self.spacing ? signalsInARow &+ 1 : 0
        last = now
        return signalsInARow >= Self.manySignals
    }
}

/// What the control thread leaves for a worker: new sockets, or the wish that it end.
final class Mailbox: Sendable {
    private struct Letter {
        var sockets: UDPSocketPair?
        /// How many sockets were sent so far.
        var number = 0
        var isLast = false
    }

    private let letter = Mutex(Letter())
    private let isDone = Atomic<Bool>(false)
    /// The number of the sockets that the worker uses.
    private let used = Atomic<Int>(0)
    let wakeUp: WakeUp

    init() throws(SystemError) {
        wakeUp = try WakeUp()
    }

    /// From now on the worker uses these sockets.
    func send(_ sockets: UDPSocketPair) {
        letter.withLock {
            $0.sockets = sockets
            $0.number += 1
        }
        wakeUp.signal()
    }

    /// Whether the worker still holds sockets that it was to give up.
    var holdsOldSockets: Bool {
        letter.withLock { $0.number } != used.load(ordering: .acquiring) && !hasEnded
    }

    /// The worker has let go of all sockets before those with this number.
    func confirm(_ number: Int) {
        used.store(number, ordering: .releasing)
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
        wakeUp.signal()
    }

    /// Takes what was left: new sockets if there are, with their number, and whether to end.
    func take() -> (sockets: UDPSocketPair?, number: Int, isLast: Bool) {
        wakeUp.event.drain()
        return letter.withLock { letter in
            defer { letter.sockets = nil }
            return (letter.sockets, letter.number, letter.isLast)
        }
    }
}
