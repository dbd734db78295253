import Glibc
import Synchronization

/// A thread that answers a question and ends.
final class TestThread: @unchecked Sendable {
    // Sendable: the handle is written before anybody else has it; the answer is locked.
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
        precondition(code == 0, "no thread can be started")
    }

    /// Waits for its end; what it answered.
    func join() -> Bool? {
        _ = pthread_join(handle, nil)
        return answer.withLock { $0 }
    }
}
