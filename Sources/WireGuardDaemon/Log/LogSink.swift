import LinuxIO

/// Where log lines go.
protocol LogSink: Sendable {
    /// Writes one line; called from any thread.
    func write(_ level: SystemLog.Level, _ message: String)
}

/// Standard error. Each line begins with its level.
struct StandardErrorSink: LogSink {
    func write(_ level: SystemLog.Level, _ message: String) {
        StandardError.writeLine("\(Self.name(of: level)): \(message)")
    }

    static func name(of level: SystemLog.Level) -> String {
        switch level {
        case .error: "ERROR"
        case .info: "INFO"
        case .debug: "DEBUG"
        }
    }
}

/// The system log, for a daemon without standard error.
struct SystemLogSink: LogSink {
    func write(_ level: SystemLog.Level, _ message: String) {
        SystemLog.write(level, message)
    }
}
