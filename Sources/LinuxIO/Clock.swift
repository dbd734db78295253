import Glibc

/// The two clocks that the daemon reads, and short sleeps.
package enum Clock {
    /// CLOCK_BOOTTIME in nanoseconds; it includes the time that the system is suspended.
    package static func boottime() -> UInt64 {
        let time = read(CLOCK_BOOTTIME)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }

    /// CLOCK_REALTIME: seconds since 1970, negative before, and nanoseconds.
    package static func realtime() -> (seconds: Int64, nanoseconds: UInt32) {
        let time = read(CLOCK_REALTIME)
        return (Int64(time.tv_sec), UInt32(time.tv_nsec))
    }

    private static func read(_ clock: Int32) -> timespec {
        var time = timespec()
        // Fails only if the kernel lacks the clock. Linux has both since 2.6.39.
        let result = unsafe clock_gettime(clock, &time)
        precondition(result == 0)
        return time
    }

    /// Blocks the calling thread for up to 999 ms.
    package static func pause(milliseconds: Int) {
        pause(nanoseconds: min(milliseconds, 999) * 1_000_000)
    }

    /// Blocks the calling thread for less than a second. The kernel adds about 50 µs of timer slack.
    package static func pause(nanoseconds: Int) {
        var interval = timespec(tv_sec: 0, tv_nsec: nanoseconds)
        unsafe nanosleep(&interval, nil)
    }
}
