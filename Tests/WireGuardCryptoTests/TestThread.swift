import Glibc
import Synchronization

/// A thread that computes a Bool.
final class TestThread: @unchecked Sendable {
    // Sendable: init writes the handle before it is shared, and a lock protects the result.
    private let body: @Sendable () -> Bool
    private let answer = Mutex<Bool?>(nil)
    private var handle = pthread_t()

    init(_ body: @escaping @Sendable () -> Bool) {
        self.body = body
        let argument = unsafe Unmanaged.passRetained(self).toOpaque()
        let code = unsafe pthread_create(
            &handle, nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                let thread = unsafe Unmanaged<TestThread>.fromOpaque(argument).takeRetainedValue()
                let answer = thread.body()
                thread.answer.withLock { $0 = answer }
                return nil
            }, argument)
        precondition(code == 0, "pthread_create failed")
    }

    /// Waits for its end and returns its result.
    func join() -> Bool? {
        _ = pthread_join(handle, nil)
        return answer.withLock { $0 }
    }
}
