import WireGuard

/// What a worker needs from the system besides its packet port and sockets: it waits, reads the
/// clock, and reaches the control thread.
protocol WorkerHost: ~Copyable, Sendable {
    associatedtype Sockets: SocketPair
    associatedtype Failure: Error

    /// Waits until something is ready.
    ///
    /// - Parameter milliseconds: the maximum time to wait; 0 to return at once, nil for no limit.
    /// - Returns: the number of events, 0 if there is none.
    mutating func wait(milliseconds: Int32?) throws(Failure) -> Int

    /// An event that the last call of ``wait(milliseconds:)`` found.
    func event(_ index: Int) -> WorkerEvent

    /// Waits for datagrams on `new` from now on, and no longer on `old`.
    mutating func listen(to new: Sockets, insteadOf old: Sockets?) throws(Failure)

    /// Clears the event that mail is waiting.
    func acknowledgeMail()

    /// Wakes the control thread.
    func wakeControlThread()

    /// Reads the clock.
    func now() -> ObservedInstant

    /// Suspends the calling thread. At least this long, and less than a second.
    func pause(nanoseconds: Int)

    /// Lets other threads use the processor.
    func yield()

    /// Passes on an event that is worth a log line.
    func report(_ event: WorkerReport)
}

/// What a worker waits for.
enum WorkerEvent: Sendable {
    /// The TUN has packets, or is gone.
    case packets
    /// The IPv4 socket has datagrams.
    case datagrams4
    /// The IPv6 socket has datagrams.
    case datagrams6
    /// The mailbox has mail.
    case mail
}
