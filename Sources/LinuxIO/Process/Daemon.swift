import CLinux
import Glibc

/// Turns the process into a daemon. The parent waits until the child reports that it is ready or has
/// failed, then exits with 0 or 1.
package enum Daemon {
    /// Standard output and error of the child. Standard input is always /dev/null.
    package enum StandardStreams: Sendable {
        /// Both are /dev/null.
        case discarded
        /// Both are those of the parent.
        case kept
    }

    /// Forks, and returns in the child only. Call it before the first thread starts.
    package static func detach(_ streams: StandardStreams) throws(SystemError) -> DaemonReadiness {
        try fillStandardStreams()
        // Otherwise the report to a killed parent would end the child.
        SignalDescriptor.ignoreBrokenPipes()
        var ends: [Int32] = [0, 0]
        try SystemCall.call("pipe2") { unsafe clinux_pipe(&ends) }
        let status = FileDescriptor(owning: ends[0])
        let readiness = FileDescriptor(owning: ends[1])
        let child = try SystemCall.call("fork") { clinux_fork() }
        if child == 0 {
            setsid()
            try redirect(streams)
            // So that no mount point stays busy.
            _ = unsafe chdir("/")
            return DaemonReadiness(pipe: readiness)
        }
        // Close the parent's copy, so that the pipe ends when the child does.
        _ = consume readiness
        let result = awaitChild(status)
        // The parent of a failed child exits after it.
        if result != 0 { _ = waitpid(child, nil, 0) }
        _exit(result)
    }

    /// Reads the report of the child, a zero byte for success or else a message, and prints the message.
    /// Returns the exit status.
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

    /// Opens descriptors 0, 1 and 2 if they are closed, so that no socket or pipe gets these numbers.
    private static func fillStandardStreams() throws(SystemError) {
        while true {
            let null = try SystemCall.descriptor("open") { unsafe clinux_open("/dev/null", O_RDWR) }
            if null.rawValue > STDERR_FILENO { return }
            // Stays open, in the child too.
            _ = null.release()
        }
    }

    private static func redirect(_ streams: StandardStreams) throws(SystemError) {
        let null = try SystemCall.descriptor("open") { unsafe clinux_open("/dev/null", O_RDWR) }
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
