import LinuxIO
import Logging
import Testing

@testable import WireGuardDaemon

@Suite("Log")
struct LogTests {
    /// What is written of one entry per level of swift-log.
    private func lines(_ level: LogLevel) -> [String] {
        let sink = RecordingSink()
        let log = sink.logger(level)
        for level in Logger.Level.allCases { log.log(level: level, "\(level)") }
        return sink.lines
    }

    @Test("each level includes the ones above it")
    func levels() {
        let errors = [
            "ERROR: (wgtest) warning", "ERROR: (wgtest) error", "ERROR: (wgtest) critical",
        ]
        let information = ["INFO: (wgtest) info", "INFO: (wgtest) notice"]
        #expect(lines(.silent) == [])
        #expect(lines(.error) == Array(errors.dropFirst()))
        #expect(lines(.info) == information + errors)
        #expect(lines(.verbose) == ["DEBUG: (wgtest) debug"] + information + errors)
    }

    @Test("levels have the names of wireguard-go")
    func names() {
        #expect(LogLevel(name: "silent") == .silent)
        #expect(LogLevel(name: "error") == .error)
        #expect(LogLevel(name: "info") == .info)
        #expect(LogLevel(name: "verbose") == .verbose)
        #expect(LogLevel(name: "debug") == .verbose)
        #expect(LogLevel(name: "Info") == nil)
    }

    @Test("metadata is kept, as swift-log expects of a handler")
    func metadata() {
        var handler = LineLogHandler(interface: "wg0", level: .info, sink: RecordingSink())
        handler[metadataKey: "key"] = "value"
        #expect(handler[metadataKey: "key"] == "value")
        #expect(handler.metadata == ["key": "value"])
    }
}
