import CLinux
import Glibc

/// A timer on CLOCK_BOOTTIME (timerfd_create(2)): after a suspend it expires at once.
package struct TimerDescriptor: ~Copyable, Sendable {
    /// Readable from the deadline until `drain`.
    package let descriptor: FileDescriptor

    /// Makes a timer without a deadline.
    package init() throws(SystemError) {
        descriptor = try SystemCall.descriptor("timerfd_create") {
            timerfd_create(CLOCK_BOOTTIME, Int32(clinux_CLOEXEC_TIMERFD))
        }
    }

    /// Sets the deadline in nanoseconds of CLOCK_BOOTTIME, nil for none. With a deadline in the past,
    /// the timer expires at once.
    package func set(deadline: UInt64?) throws(SystemError) {
        var setting = itimerspec()
        if let deadline {
            // Zero would disable the timer.
            let deadline = max(deadline, 1)
            setting.it_value.tv_sec = Int(deadline / 1_000_000_000)
            setting.it_value.tv_nsec = Int(deadline % 1_000_000_000)
        }
        let raw = descriptor.rawValue
        try SystemCall.call("timerfd_settime") {
            unsafe timerfd_settime(raw, Int32(TFD_TIMER_ABSTIME), &setting, nil)
        }
    }

    /// Clears the expiration. Returns whether there was one.
    @discardableResult
    package func drain() -> Bool {
        var expirations: UInt64 = 0
        return unsafe read(descriptor.rawValue, &expirations, 8) == 8
    }
}
