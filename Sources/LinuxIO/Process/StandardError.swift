import Glibc

/// Standard error, written a line at a time.
package enum StandardError {
    /// Writes a line with one call, so that lines of several threads do not mix.
    package static func writeLine(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        // An error is ignored: the stream may be closed, or the disk full.
        _ = unsafe bytes.withUnsafeBytes { unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}
