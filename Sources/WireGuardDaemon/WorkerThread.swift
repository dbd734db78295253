import LinuxIO

/// A worker and its thread, as the control thread sees them.
final class WorkerThread {
    let mailbox: Mailbox
    private var worker: Worker?
    private var thread: Thread?

    init(mailbox: Mailbox, worker: consuming Worker) {
        self.mailbox = mailbox
        self.worker = consume worker
    }

    func start() throws(SystemError) {
        guard let worker = worker.take() else { return }
        thread = try Thread.start("worker", owning: worker) { worker in
            var worker = worker
            worker.run()
        }
    }

    func stop() {
        mailbox.stop()
        if let thread = thread.take() { thread.join() }
    }
}
