import LinuxIO
import Logging

/// Writes one line per entry: the interface in parentheses, then the message.
struct LineLogHandler: LogHandler {
    private let interface: String
    private let isSilent: Bool
    private let sink: any LogSink
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]

    init(interface: String, level: LogLevel, sink: any LogSink) {
        self.interface = interface
        self.sink = sink
        isSilent = level == .silent
        logLevel = level.threshold ?? .critical
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        // A silent log has a threshold too: swift-log has no level above critical.
        guard !isSilent else { return }
        sink.write(Self.systemLevel(of: event.level), "(\(interface)) \(event.message)")
    }

    private static func systemLevel(of level: Logger.Level) -> SystemLog.Level {
        switch level {
        case .trace, .debug: .debug
        case .info, .notice: .info
        case .warning, .error, .critical: .error
        }
    }
}

extension Logger {
    /// The log of one interface.
    init(_ interface: InterfaceName, level: LogLevel, sink: some LogSink) {
        self.init(label: interface.rawValue) { label in
            LineLogHandler(interface: label, level: level, sink: sink)
        }
    }
}
