import CLinux
import Glibc

/// A bell that any thread can ring and one waits for (eventfd).
package struct EventDescriptor: ~Copyable, Sendable {
    /// Readable while the bell has been rung and not heard.
    package let descriptor: FileDescriptor

    /// Makes a bell.
    package init() throws(SystemError) {
        descriptor = try SystemCall.open("eventfd") {
            eventfd(0, Int32(clinux_CLOEXEC_EVENTFD))
        }
    }

    /// Wakes the thread that waits; from any thread, as often as you like.
    package func signal() {
        // Fails only when the counter is full, and then it is readable already.
        _ = eventfd_write(descriptor.rawValue, 1)
    }

    /// Hears the bell; true if it was rung.
    @discardableResult
    package func drain() -> Bool {
        var value: eventfd_t = 0
        return unsafe eventfd_read(descriptor.rawValue, &value) == 0
    }
}

/// An alarm on CLOCK_BOOTTIME (timerfd), so that it is due at once after a long sleep.
package struct TimerDescriptor: ~Copyable, Sendable {
    /// Readable when the deadline has passed.
    package let descriptor: FileDescriptor

    /// Makes an alarm that is not set.
    package init() throws(SystemError) {
        descriptor = try SystemCall.open("timerfd_create") {
            timerfd_create(CLOCK_BOOTTIME, Int32(clinux_CLOEXEC_TIMERFD))
        }
    }

    /// Sets the alarm to `deadline` nanoseconds of the boot-time clock; one that has passed rings at
    /// once. nil stops it.
    package func set(deadline: UInt64?) throws(SystemError) {
        var setting = itimerspec()
        if let deadline {
            // Zero would stop the alarm.
            let deadline = max(deadline, 1)
            setting.it_value.tv_sec = Int(deadline / 1_000_000_000)
            setting.it_value.tv_nsec = Int(deadline % 1_000_000_000)
        }
        let raw = descriptor.rawValue
        try SystemCall.call("timerfd_settime") {
            unsafe timerfd_settime(raw, Int32(TFD_TIMER_ABSTIME), &setting, nil)
        }
    }

    /// Hears the alarm; true if it was due.
    @discardableResult
    package func drain() -> Bool {
        var expirations: UInt64 = 0
        return unsafe read(descriptor.rawValue, &expirations, 8) == 8
    }
}

/// Signals as events (signalfd).
package struct SignalDescriptor: ~Copyable, Sendable {
    /// Readable while a signal is pending.
    package let descriptor: FileDescriptor

    /// Blocks `signals` in the calling thread, and so in all that it starts later, and collects them.
    ///
    /// To be called before the first thread is started.
    package init(_ signals: [Int32]) throws(SystemError) {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        for signal in signals {
            unsafe sigaddset(&set, signal)
        }
        let code = unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
        if code != 0 { throw SystemError(call: "pthread_sigmask", code: code) }
        descriptor = try SystemCall.open("signalfd") {
            unsafe signalfd(-1, &set, Int32(clinux_CLOEXEC_SIGNALFD))
        }
    }

    /// The next signal that came, nil if there is none.
    package func next() -> Int32? {
        var information = signalfd_siginfo()
        let size = MemoryLayout<signalfd_siginfo>.size
        guard unsafe read(descriptor.rawValue, &information, size) == size else { return nil }
        return Int32(information.ssi_signo)
    }

    /// Ignores SIGPIPE for the whole process: a peer that hung up is an error of the write.
    package static func ignoreBrokenPipes() {
        _ = signal(SIGPIPE, SIG_IGN)
    }
}
