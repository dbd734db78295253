import Synchronization

/// Carries new sockets and the request to end from the control thread to a worker.
final class Mailbox<Sockets: Sendable>: Sendable {
    /// What a worker finds in its mailbox.
    struct Mail {
        /// The sockets to use from now on; nil for no change.
        var sockets: Sockets?
        /// The number of socket changes so far.
        var number = 0
        /// Whether the worker must end.
        var isLast = false
    }

    private let mail = Mutex(Mail())
    private let isDone = Atomic<Bool>(false)
    /// The number of the sockets that the worker uses.
    private let confirmed = Atomic<Int>(0)
    private let wakeWorker: @Sendable () -> Void

    /// Creates an empty mailbox.
    ///
    /// - Parameter wakeWorker: called when there is mail.
    init(wakeWorker: @escaping @Sendable () -> Void) {
        self.wakeWorker = wakeWorker
    }

    // MARK: Control thread

    /// Makes the worker use these sockets.
    func send(_ sockets: Sockets) {
        mail.withLock {
            $0.sockets = sockets
            $0.number += 1
        }
        wakeWorker()
    }

    /// Makes the worker end.
    func stop() {
        mail.withLock { $0.isLast = true }
        wakeWorker()
    }

    /// Whether the worker still keeps sockets that were replaced.
    var holdsOldSockets: Bool {
        mail.withLock { $0.number } != confirmed.load(ordering: .acquiring) && !hasEnded
    }

    /// Whether the worker has ended.
    var hasEnded: Bool { isDone.load(ordering: .acquiring) }

    // MARK: Worker

    /// Takes what was sent since the last call.
    func take() -> Mail {
        mail.withLock { mail in
            defer { mail.sockets = nil }
            return mail
        }
    }

    /// Confirms that the worker has released all sockets before those with this number.
    func confirm(_ number: Int) {
        confirmed.store(number, ordering: .releasing)
    }

    /// Reports that the worker has ended, on request or because its TUN is gone.
    func reportEnd() {
        isDone.store(true, ordering: .releasing)
    }
}
