import Glibc
import LinuxIO
import Packets
import Synchronization
import Testing
import WireGuard

@testable import WireGuardDaemon

/// A daemon in this process: `runInForeground` on a thread of its own.
///
/// It runs in the network namespace of the calling thread; see ``inNewNamespace(_:)``.
final class RunningDaemon {
    let sink = RecordingSink()
    let directory: TestDirectory
    private let outcome = Shared()
    private var thread: LinuxIO.Thread?

    private final class Shared: Sendable {
        let value = Mutex<DaemonOutcome?>(nil)
    }

    /// Starts a daemon.
    ///
    /// - Parameters:
    ///   - environment: variables of the daemon.
    ///   - signal: a signal that it receives when it starts.
    init(
        _ name: String = "wgt0", environment: [String: String] = [:], signal: Int32? = nil
    ) throws {
        directory = try TestDirectory()
        let settings = try Settings(
            interface: try #require(InterfaceName(name)), foreground: true,
            socketDirectory: directory.path, environment: { environment[$0] })
        let (sink, outcome) = (sink, outcome)
        thread = try Thread.start("daemon") {
            // Pending for this thread, which has all signals blocked.
            if let signal { _ = pthread_kill(pthread_self(), signal) }
            let result = runInForeground(settings, sink: sink)
            outcome.value.withLock { $0 = result }
        }
    }

    deinit {
        // A daemon that does not end has failed its test; joining it would hang.
        let hasEnded = waitForEnd() != nil
        if let thread = thread.take(), hasEnded { thread.join() }
    }

    /// Fails the test unless it may make namespaces and interfaces.
    static func requireRoot() throws {
        try #require(
            geteuid() == 0 && ProcessRights.hasNetworkAdministration,
            "these tests make network namespaces and TUN interfaces: run them as root")
    }

    /// Runs `body` in a new network namespace with only a loopback link; needs root.
    static func inNewNamespace(_ body: () throws -> Void) throws {
        try requireRoot()
        let before = try NetworkNamespace.current()
        try NetworkNamespace.enterNew()
        defer {
            // A thread that cannot return must not run other tests.
            if (try? NetworkNamespace.enter(before)) == nil { abort() }
        }
        try ip("link set lo up")
        try body()
    }

    /// Runs ip(8) in the namespace of the calling thread.
    static func ip(_ line: String) throws {
        let words = ["ip"] + line.split(separator: " ").map(String.init)
        var arguments = unsafe words.map { unsafe strdup($0) } + [nil]
        defer { unsafe arguments.forEach { unsafe free($0) } }
        var child: pid_t = 0
        let code = unsafe posix_spawnp(&child, "ip", nil, nil, &arguments, environ)
        try #require(code == 0)
        var status: Int32 = 0
        try #require(unsafe waitpid(child, &status, 0) == child)
        try #require(status == 0, "ip \(line)")
    }

    var socketPath: String { "\(directory.path)/wgt0.sock" }

    /// How the daemon ended; nil if it did not within ten seconds.
    func waitForEnd() -> DaemonOutcome? {
        _ = eventually { outcome.value.withLock { $0 != nil } }
        return outcome.value.withLock { $0 }
    }

    /// Waits until a line that contains `words` is logged.
    func waits(for words: String) -> Bool {
        eventually { sink.lines.contains { $0.contains(words) } }
    }

    /// Connects to the configuration socket as soon as it exists.
    func connect() throws -> UnixConnection {
        for _ in 0..<10_000 {
            if let connection = try? UnixConnection(to: socketPath) { return connection }
            Clock.pause(milliseconds: 1)
        }
        return try UnixConnection(to: socketPath)
    }

    /// Sends a request and returns the answer.
    func request(_ text: String, on connection: borrowing UnixConnection) -> String {
        let bytes = Array(text.utf8)
        // Bytes have no padding.
        _ = connection.write(unsafe bytes.span.bytes)
        var buffer = PacketBuffer(byteCount: 1 << 16)
        var answer = ""
        for _ in 0..<10_000 where !answer.hasSuffix("\n\n") {
            var bytes = buffer.mutableBytes
            switch connection.read(into: &bytes, count: 1 << 16) {
            case .bytes(let count):
                answer += String(
                    decoding: (0..<count).map { bytes.byte(at: $0) }, as: UTF8.self)
            case .wouldBlock: Clock.pause(milliseconds: 1)
            case .closed, .failed: return answer
            }
        }
        return answer
    }
}

/// Whether `condition` becomes true within ten seconds.
func eventually(_ condition: () -> Bool) -> Bool {
    for _ in 0..<10_000 {
        if condition() { return true }
        Clock.pause(milliseconds: 1)
    }
    return false
}
