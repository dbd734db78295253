/// The child's end of `Daemon.detach`: reports to the parent whether the daemon started.
///
/// If the child ends without a report, the parent prints an error and exits 1.
package struct DaemonReadiness: ~Copyable, Sendable {
    private let pipe: FileDescriptor

    init(pipe: consuming FileDescriptor) {
        self.pipe = pipe
    }

    /// Reports success: the parent exits 0.
    package consuming func succeed() {
        // Fails only if the parent was killed.
        try? SystemCall.write(pipe, [0])
    }

    /// Reports failure: the parent prints the message, one line, and exits 1.
    package consuming func fail(_ message: String) {
        try? SystemCall.write(pipe, Array((message + "\n").utf8))
    }
}
