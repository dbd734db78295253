import CLinux
import Glibc

/// A named thread with all signals blocked.
@safe
package struct Thread: ~Copyable, @unchecked Sendable {
    private let handle: pthread_t

    /// Starts a thread that calls `body` with `state`.
    ///
    /// - Parameter name: shown by `top -H`; the kernel keeps 15 bytes.
    package static func start<State: ~Copyable & Sendable>(
        _ name: String, owning state: consuming State,
        _ body: @escaping @Sendable (consuming State) -> Void
    ) throws(SystemError) -> Thread {
        let start = Start(name: name, state: state, body: body)
        return try launch { start.callBody() }
    }

    /// Starts a thread that calls `body`.
    package static func start(_ name: String, _ body: @escaping @Sendable () -> Void)
        throws(SystemError) -> Thread
    {
        try launch {
            unsafe clinux_name_thread(name)
            body()
        }
    }

    /// Waits until the thread ends. A thread that is not joined is detached.
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
        // The new thread inherits the mask, so it receives no signal even while it starts.
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

    /// Increases the nice value of the calling thread, and of threads that it starts later.
    package static func lowerPriority(by increment: Int32) {
        // On Linux, process 0 is the calling thread (setpriority(2)).
        let kind = __priority_which_t(PRIO_PROCESS.rawValue)
        _ = setpriority(kind, 0, getpriority(kind, 0) + increment)
    }

    /// Decreases the nice value of the calling thread, and of threads that it starts later. Does nothing
    /// without CAP_SYS_NICE or a sufficient RLIMIT_NICE.
    package static func raisePriority(by decrement: Int32) {
        let kind = __priority_which_t(PRIO_PROCESS.rawValue)
        _ = setpriority(kind, 0, getpriority(kind, 0) - decrement)
    }

    /// Lets other waiting threads of the same scheduling group use the processor first (sched_yield(2)).
    package static func yield() {
        sched_yield()
    }

    /// The number of processors in the affinity mask of the process.
    package static var processorCount: Int {
        Int(clinux_processor_count())
    }
}

/// A closure that is passed through pthread_create as a pointer.
private final class Body: Sendable {
    let body: @Sendable () -> Void

    init(_ body: @escaping @Sendable () -> Void) {
        self.body = body
    }
}

/// Moves a noncopyable value to a new thread.
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

    // Called once, on the new thread. pthread_create orders the memory accesses.
    func callBody() {
        unsafe clinux_name_thread(name)
        guard let state = state.take() else { return }
        body(state)
    }
}
