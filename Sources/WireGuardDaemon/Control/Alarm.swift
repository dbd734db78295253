import LinuxIO
import WireGuard

/// The timer that wakes the control thread for its next deadline.
struct Alarm: ~Copyable {
    private let timer: TimerDescriptor
    /// What the timer is set to. A system call is made only if this changes.
    private(set) var deadline: ObservedInstant?

    init() throws(SystemError) {
        timer = try TimerDescriptor()
    }

    /// Readable when the deadline has passed.
    var descriptor: FileDescriptor {
        _read { yield timer.descriptor }
    }

    /// Sets the alarm; nil stops it.
    mutating func set(_ deadline: ObservedInstant?) throws(SystemError) {
        guard deadline != self.deadline else { return }
        try timer.set(deadline: deadline?.nanoseconds)
        self.deadline = deadline
    }

    /// Clears the readiness of the descriptor.
    func acknowledge() {
        timer.drain()
    }
}
