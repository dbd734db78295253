import CLinux
import Glibc

/// The system's log (syslog(3)), for a daemon whose standard error is gone.
package enum SystemLog {
    /// How grave a line is.
    package enum Level: Sendable {
        /// Something does not work.
        case error
        /// What an administrator may want to know.
        case info
        /// What a developer may want to know.
        case debug
    }

    /// Names the program in every line; at most 63 bytes.
    package static func open(identity: String) {
        unsafe clinux_openlog(identity)
    }

    /// Writes one line; from any thread.
    package static func write(_ level: Level, _ message: String) {
        let priority =
            switch level {
            case .error: LOG_ERR
            case .info: LOG_INFO
            case .debug: LOG_DEBUG
            }
        unsafe clinux_syslog(priority, message)
    }
}

/// Standard error, a whole line at a time.
package enum StandardError {
    /// Writes a line in one call, so that lines of several threads do not mix.
    package static func writeLine(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        // Nobody may be there to read it, or the disk is full: a log line is worth no more.
        _ = unsafe bytes.withUnsafeBytes { unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}
