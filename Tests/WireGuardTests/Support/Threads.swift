import LinuxIO

/// Calls `body` on `count` new threads and `work` on this one, then joins the threads.
func withThreads(
    _ count: Int, _ body: @escaping @Sendable (Int) -> Void, meanwhile work: () -> Void
) throws {
    try start(threadsFrom: 0, of: count, body, work)
}

private func start(
    threadsFrom number: Int, of count: Int, _ body: @escaping @Sendable (Int) -> Void,
    _ work: () -> Void
) throws {
    guard number < count else { return work() }
    let thread = try Thread.start("test \(number)") { body(number) }
    try start(threadsFrom: number + 1, of: count, body, work)
    thread.join()
}
