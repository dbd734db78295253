import Logging

/// How much is logged: the values of `LOG_LEVEL`.
package enum LogLevel: Sendable, Equatable {
    /// Nothing.
    case silent
    /// Failures.
    case error
    /// Also what an administrator may want to know.
    case info
    /// Also handshakes, keypairs and drops, with their reasons. Called `verbose` or `debug`, as in
    /// wireguard-go.
    case verbose

    /// Parses a value of `LOG_LEVEL`; nil if there is no such level.
    package init?(name: String) {
        switch name {
        case "silent": self = .silent
        case "error": self = .error
        case "info": self = .info
        case "verbose", "debug": self = .verbose
        default: return nil
        }
    }

    /// The level of swift-log; nil to log nothing.
    var threshold: Logger.Level? {
        switch self {
        case .silent: nil
        case .error: .error
        case .info: .info
        case .verbose: .debug
        }
    }
}
