import CLinux
import Glibc

/// The system log (syslog(3)), for a daemon without standard error.
package enum SystemLog {
    /// The severity of a line.
    package enum Level: Sendable {
        /// LOG_ERR.
        case error
        /// LOG_INFO.
        case info
        /// LOG_DEBUG.
        case debug
    }

    /// Sets the program name of all lines; longer names are cut to 63 bytes.
    package static func open(identity: String) {
        unsafe clinux_openlog(identity)
    }

    /// Writes a line. Can be called from any thread.
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
