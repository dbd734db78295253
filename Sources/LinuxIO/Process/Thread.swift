import CLinux
import Glibc

/// A thread of our own, with a name and with every signal blocked.
@safe
package struct Thread: ~Copyable, @unchecked Sendable {
    private let handle: pthread_t

    /// Starts a thread that owns `state` and runs `body` with it.
    ///
    /// - Parameter name: what `top -H` shows; the kernel keeps 15 bytes.
    package static func start<State: ~Copyable & Sendable>(
        _ name: String, owning state: consuming State,
        _ body: @escaping @Sendable (consuming State) -> Void
    ) throws(SystemError) -> Thread {
        let start = Start(name: name, state: state, body: body)
        return try launch { start.run() }
    }

    /// Starts a thread that runs `body`.
    package static func start(_ name: String, _ body: @escaping @Sendable () -> Void)
        throws(SystemError) -> Thread
    {
        try launch {
            unsafe clinux_name_thread(name)
            body()
        }
    }

    /// Waits for its end. A thread that nobody joins goes on by itself.
    package consuming func join() {
        let handle = handle
        discard self
        _ = pthread_join(handle, nil)
    }

    deinit {
        _ = pthread_detach(handle)
    }

    private init(handle: pthread_t) {
        self.handle = handle
    }

    private static func launch(_ body: @escaping @Sendable () -> Void) throws(SystemError)
        -> Thread
    {
        var all = sigset_t()
        var before = sigset_t()
        unsafe sigfillset(&all)
        // The new thread inherits the mask: no signal can reach it, not even while it starts.
        unsafe pthread_sigmask(SIG_SETMASK, &all, &before)
        defer { _ = unsafe pthread_sigmask(SIG_SETMASK, &before, nil) }

        let box = unsafe Unmanaged.passRetained(Body(body))
        var handle = pthread_t()
        let code = unsafe pthread_create(
            &handle, nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                unsafe Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().body()
                return nil
            }, box.toOpaque())
        if code == 0 { return Thread(handle: handle) }
        unsafe box.release()
        throw SystemError(call: "pthread_create", code: code)
    }

    /// Lets others go first where more threads want to run than there are processors: nice(1), for the
    /// calling thread alone.
    package static func giveWay(by increment: Int32) {
        // On Linux a "process" 0 is the calling thread. To be nicer needs no right.
        let kind = __priority_which_t(PRIO_PROCESS.rawValue)
        _ = setpriority(kind, 0, getpriority(kind, 0) + increment)
    }

    /// Has the calling thread, and those that it starts from now on, go before others where more want to
    /// run than there are processors. It takes CAP_SYS_NICE, or a limit that allows it
    /// (`ulimit -e`): nothing changes without.
    package static func goFirst(by decrement: Int32) {
        let kind = __priority_which_t(PRIO_PROCESS.rawValue)
        _ = setpriority(kind, 0, getpriority(kind, 0) - decrement)
    }

    /// Offers the processor to others of its scheduling group that wait for it.
    package static func yield() {
        sched_yield()
    }

    /// The number of processors that this process may run on.
    package static var processorCount: Int {
        Int(clinux_processor_count())
    }
}

/// What crosses pthread_create as a pointer.
private final class Body: Sendable {
    let body: @Sendable () -> Void

    init(_ body: @escaping @Sendable () -> Void) {
        self.body = body
    }
}

/// Carries a value that cannot be copied to the thread that takes it, once.
private final class Start<State: ~Copyable & Sendable>: @unchecked Sendable {
    private let name: String
    private var state: State?
    private let body: @Sendable (consuming State) -> Void

    init(name: String, state: consuming State, body: @escaping @Sendable (consuming State) -> Void)
    {
        self.name = name
        self.state = consume state
        self.body = body
    }

    // Called by the new thread only, after pthread_create, which orders the memory.
    func run() {
        unsafe clinux_name_thread(name)
        guard let state = state.take() else { return }
        body(state)
    }
}
