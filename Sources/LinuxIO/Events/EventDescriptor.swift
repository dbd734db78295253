import CLinux
import Glibc

/// A wake-up that any thread can signal and one thread waits for (eventfd(2)).
package struct EventDescriptor: ~Copyable, Sendable {
    /// Readable from `signal` until `drain`.
    package let descriptor: FileDescriptor

    /// Makes a wake-up that is not signalled.
    package init() throws(SystemError) {
        descriptor = try SystemCall.descriptor("eventfd") {
            eventfd(0, Int32(clinux_CLOEXEC_EVENTFD))
        }
    }

    /// Wakes the waiting thread. Several signals before a `drain` count as one.
    package func signal() {
        // Fails only if the counter is at its maximum; the descriptor is readable then.
        _ = eventfd_write(descriptor.rawValue, 1)
    }

    /// Clears the signal. Returns whether there was one.
    @discardableResult
    package func drain() -> Bool {
        var value: eventfd_t = 0
        return unsafe eventfd_read(descriptor.rawValue, &value) == 0
    }
}
