import CLinux
import Glibc

/// Turns the process into a daemon: the parent stays until the child says that it is ready, and ends
/// with the child's status.
package enum Daemon {
    /// What becomes of standard output and error in the child; input is always /dev/null.
    package enum StandardStreams: Sendable {
        /// Both go to /dev/null.
        case discarded
        /// Both stay as they are.
        case kept
    }

    /// Forks. Returns in the child only; to be called before the first thread is started.
    package static func detach(_ streams: StandardStreams) throws(SystemError) -> DaemonReadiness {
        try fillStandardStreams()
        // A parent that was killed must not take the child with it.
        SignalDescriptor.ignoreBrokenPipes()
        var ends: [Int32] = [0, 0]
        try SystemCall.call("pipe2") { unsafe clinux_pipe(&ends) }
        let status = FileDescriptor(owning: ends[0])
        let readiness = FileDescriptor(owning: ends[1])
        let child = try SystemCall.call("fork") { clinux_fork() }
        if child == 0 {
            setsid()
            try redirect(streams)
            // No mount point is held busy.
            _ = unsafe chdir("/")
            return DaemonReadiness(pipe: readiness)
        }
        // The parent's copy, so that the end of the child is seen as the end of the pipe.
        _ = consume readiness
        let result = awaitChild(status)
        // A child that failed is gone before its parent says so.
        if result != 0 { _ = waitpid(child, nil, 0) }
        _exit(result)
    }

    /// Reads what the child has to say: a zero byte for success, else a message. Returns the status to
    /// end with.
    private static func awaitChild(_ status: borrowing FileDescriptor) -> Int32 {
        var report: [UInt8] = []
        while let bytes = try? SystemCall.read(status, count: 4096), !bytes.isEmpty {
            report += bytes
            if report.first == 0 { return 0 }
        }
        if report.isEmpty { report = Array("the daemon ended before it was ready\n".utf8) }
        let error = FileDescriptor(owning: STDERR_FILENO)
        try? SystemCall.write(error, report)
        _ = error.release()
        return 1
    }

    /// Makes sure that 0, 1 and 2 are open, lest a socket or a pipe becomes one of them.
    private static func fillStandardStreams() throws(SystemError) {
        while true {
            let null = try SystemCall.open("open") { unsafe clinux_open("/dev/null", O_RDWR) }
            if null.rawValue > STDERR_FILENO { return }
            // Stays open, for the child as well.
            _ = null.release()
        }
    }

    private static func redirect(_ streams: StandardStreams) throws(SystemError) {
        let null = try SystemCall.open("open") { unsafe clinux_open("/dev/null", O_RDWR) }
        let raw = null.rawValue
        let targets =
            switch streams {
            case .discarded: [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO]
            case .kept: [STDIN_FILENO]
            }
        for target in targets {
            try SystemCall.call("dup2") { dup2(raw, target) }
        }
    }
}

/// The child's duty to tell the parent how it went. A child that ends without is a failure.
package struct DaemonReadiness: ~Copyable, Sendable {
    private let pipe: FileDescriptor

    fileprivate init(pipe: consuming FileDescriptor) {
        self.pipe = pipe
    }

    /// Everything is in place: the parent ends with status 0.
    package consuming func succeed() {
        // A parent that was killed does not wait any more.
        try? SystemCall.write(pipe, [0])
    }

    /// It did not work: the parent prints the message, one line, and ends with status 1.
    package consuming func fail(_ message: String) {
        try? SystemCall.write(pipe, Array((message + "\n").utf8))
    }
}
