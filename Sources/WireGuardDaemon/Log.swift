import LinuxIO
import Logging

/// How much is logged: the levels of `LOG_LEVEL`.
package enum LogLevel: Sendable, Equatable {
    case silent
    case error
    case info
    /// Handshakes, keypairs and drops, with their reasons; wireguard-go calls it both verbose and debug.
    case verbose

    package init?(name: String) {
        switch name {
        case "silent": self = .silent
        case "error": self = .error
        case "info": self = .info
        case "verbose", "debug": self = .verbose
        default: return nil
        }
    }

    var threshold: Logger.Level? {
        switch self {
        case .silent: nil
        case .error: .error
        case .info: .info
        case .verbose: .debug
        }
    }
}

/// Where lines go.
package enum LogTarget: Sendable {
    case standardError
    case systemLog
}

/// Makes the log of one interface.
package func makeLogger(
    _ interface: InterfaceName, level: LogLevel, target: LogTarget
) -> Logger {
    Logger(label: interface.rawValue) { label in
        LineLogHandler(
            interface: label, logLevel: level.threshold ?? .critical,
            isSilent: level == .silent, target: target)
    }
}

/// One line an entry: level, interface, message.
private struct LineLogHandler: LogHandler {
    let interface: String
    var logLevel: Logger.Level
    let isSilent: Bool
    let target: LogTarget
    var metadata: Logger.Metadata = [:]

    init(interface: String, logLevel: Logger.Level, isSilent: Bool, target: LogTarget) {
        self.interface = interface
        self.logLevel = logLevel
        self.isSilent = isSilent
        self.target = target
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        guard !isSilent else { return }
        switch target {
        case .standardError:
            StandardError.writeLine("\(name(of: event.level)): (\(interface)) \(event.message)")
        case .systemLog:
            SystemLog.write(systemLevel(of: event.level), "(\(interface)) \(event.message)")
        }
    }

    private func name(of level: Logger.Level) -> String {
        switch level {
        case .trace, .debug: "DEBUG"
        case .info, .notice: "INFO"
        case .warning, .error, .critical: "ERROR"
        }
    }

    private func systemLevel(of level: Logger.Level) -> SystemLog.Level {
        switch level {
        case .trace, .debug: .debug
        case .info, .notice: .info
        case .warning, .error, .critical: .error
        }
    }
}
