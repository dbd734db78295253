import Glibc

/// The two clocks of the daemon.
package enum Clock {
    /// Nanoseconds of CLOCK_BOOTTIME, which goes on while the machine sleeps.
    package static func boottime() -> UInt64 {
        let time = read(CLOCK_BOOTTIME)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }

    /// The time of day: seconds since 1970 (negative if the clock says so) and nanoseconds.
    package static func realtime() -> (seconds: Int64, nanoseconds: UInt32) {
        let time = read(CLOCK_REALTIME)
        return (Int64(time.tv_sec), UInt32(time.tv_nsec))
    }

    private static func read(_ clock: Int32) -> timespec {
        var time = timespec()
        // Fails only for a clock that the kernel lacks; both are older than epoll.
        let result = unsafe clock_gettime(clock, &time)
        precondition(result == 0)
        return time
    }

    /// Holds up the calling thread.
    package static func pause(milliseconds: Int) {
        pause(nanoseconds: min(milliseconds, 999) * 1_000_000)
    }

    /// Holds up the calling thread for less than a second, and some 50 µs more, the kernel's slack.
    package static func pause(nanoseconds: Int) {
        var interval = timespec(tv_sec: 0, tv_nsec: nanoseconds)
        unsafe nanosleep(&interval, nil)
    }
}
