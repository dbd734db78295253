import CLinux
import Glibc
import LinuxIO
import Testing

/// Network namespaces, commands and files for the tests.
enum Host {
    /// Fails the test unless the process may create namespaces and interfaces.
    static func requireRoot(sourceLocation: SourceLocation = #_sourceLocation) throws {
        try #require(
            geteuid() == 0 && ProcessRights.hasNetworkAdministration,
            "these tests create network namespaces and TUN interfaces: run them as root",
            sourceLocation: sourceLocation)
    }

    /// Calls `body` in a new network namespace whose loopback link is up.
    ///
    /// `body` is synchronous, so it stays on the thread that entered the namespace.
    static func inNewNamespace(_ body: () throws -> Void) throws {
        try requireRoot()
        let before = try NetworkNamespace.current()
        try NetworkNamespace.enterNew()
        defer {
            // Otherwise this thread would execute other tests in the wrong namespace.
            if (try? NetworkNamespace.enter(before)) == nil { abort() }
        }
        let routes = try RouteSocket()
        try routes.bringUp(1)
        try body()
    }

    /// Creates a named namespace, and deletes it after `body`.
    static func inNamedNamespace(_ name: String, _ body: (String) throws -> Void) throws {
        let name = "\(name)-\(getpid())"
        try run("ip netns add \(name)")
        defer { _ = try? run("ip netns delete \(name)") }
        try body(name)
    }

    /// A process in the network namespace of the calling thread, whose number identifies the namespace to
    /// `ip`.
    struct Sleeper: ~Copyable {
        let child: pid_t

        init() throws {
            var child: pid_t = 0
            var arguments = unsafe [strdup("sleep"), strdup("60"), nil]
            defer { unsafe arguments.forEach { unsafe free($0) } }
            try #require(unsafe posix_spawnp(&child, "sleep", nil, nil, &arguments, environ) == 0)
            self.child = child
        }

        deinit {
            kill(child, SIGKILL)
            _ = waitpid(child, nil, 0)
        }
    }

    /// Calls `body` without some effective capabilities.
    static func without(_ capabilities: Int32..., body: () throws -> Void) throws {
        defer {
            for capability in capabilities { _ = clinux_set_capability(capability, 1) }
        }
        for capability in capabilities {
            try #require(clinux_set_capability(capability, 0) == 0)
        }
        try body()
    }

    /// Executes a command, whose words are separated by spaces, in the network namespace of the calling
    /// thread. Returns its output; throws if it fails.
    @discardableResult
    static func run(_ line: String) throws -> String {
        var ends: [Int32] = [0, 0]
        try #require(unsafe pipe(&ends) == 0)
        let output = FileDescriptor(owning: ends[0])
        let input = FileDescriptor(owning: ends[1])
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_adddup2(&actions, input.rawValue, 1)
        unsafe posix_spawn_file_actions_adddup2(&actions, input.rawValue, 2)
        unsafe posix_spawn_file_actions_addclose(&actions, output.rawValue)

        let words = line.split(separator: " ").map(String.init)
        var arguments = unsafe words.map { unsafe strdup($0) } + [nil]
        defer { unsafe arguments.forEach { unsafe free($0) } }
        var child: pid_t = 0
        let code = unsafe posix_spawnp(&child, words[0], &actions, nil, &arguments, environ)
        _ = consume input
        try #require(code == 0, "\(line): \(SystemError.message(of: code))")

        var text: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = unsafe read(output.rawValue, &chunk, chunk.count)
            guard count > 0 else { break }
            text += chunk.prefix(count)
        }
        var status: Int32 = 0
        try #require(unsafe waitpid(child, &status, 0) == child)
        let result = String(decoding: text, as: UTF8.self)
        try #require(status == 0, "\(line): status \(status): \(result)")
        return result
    }

    /// Waits until a condition is true. Returns false after five seconds.
    ///
    /// Use it for effects of a descriptor's last close: a child of another test has copies of our
    /// descriptors between fork and exec.
    static func eventually(_ answer: () -> Bool) -> Bool {
        let deadline = Clock.boottime() + 5_000_000_000
        while Clock.boottime() < deadline {
            if answer() { return true }
            sched_yield()
        }
        return false
    }

    /// The first 4 KiB of a file; empty if it cannot be read.
    static func contents(of path: String) -> String {
        let fd = FileDescriptor(owning: unsafe open(path, O_RDONLY | O_CLOEXEC))
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = unsafe read(fd.rawValue, &bytes, bytes.count)
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    }

    /// Waits until a descriptor is readable. Returns false after a timeout.
    static func isReadable(_ fd: borrowing FileDescriptor, milliseconds: Int32 = 5000) -> Bool {
        var request = pollfd(fd: fd.rawValue, events: Int16(POLLIN), revents: 0)
        return unsafe poll(&request, 1, milliseconds) == 1
    }

    /// Creates a directory in /tmp, and deletes it with its contents after `body`.
    static func withDirectory(_ body: (String) throws -> Void) throws {
        var template = Array("/tmp/linuxio-XXXXXX".utf8CString)
        try #require(unsafe mkdtemp(&template) != nil)
        let path = String(
            decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { _ = try? run("rm -rf \(path)") }
        try body(path)
    }
}
