import LinuxIO
import Logging
import Synchronization

@testable import WireGuardDaemon

/// Keeps log lines.
final class RecordingSink: LogSink {
    private let written = Mutex<[String]>([])

    /// The lines so far, each with its level.
    var lines: [String] { written.withLock { $0 } }

    func write(_ level: SystemLog.Level, _ message: String) {
        written.withLock { $0.append("\(StandardErrorSink.name(of: level)): \(message)") }
    }

    /// A log that writes here, of an interface `wgtest`.
    func logger(_ level: LogLevel = .verbose) -> Logger {
        guard let name = InterfaceName("wgtest") else { preconditionFailure() }
        return Logger(name, level: level, sink: self)
    }
}
