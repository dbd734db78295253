import CLinux
import Glibc

/// An open file descriptor, closed when its owner is destroyed.
package struct FileDescriptor: ~Copyable, Sendable {
    /// The number, valid for the lifetime of this value.
    package let rawValue: Int32

    /// Takes ownership of a descriptor; no other code may close it.
    package init(owning rawValue: Int32) {
        self.rawValue = rawValue
    }

    deinit {
        // Not repeated after EINTR: Linux has released the number by then (close(2)).
        _ = Glibc.close(rawValue)
    }

    /// Gives up ownership without closing.
    package consuming func release() -> Int32 {
        let rawValue = rawValue
        discard self
        return rawValue
    }

    /// Duplicates the descriptor (F_DUPFD_CLOEXEC).
    package func duplicate() throws(SystemError) -> FileDescriptor {
        let raw = rawValue
        return try SystemCall.descriptor("fcntl") { clinux_duplicate(raw) }
    }

    /// Sets O_NONBLOCK and FD_CLOEXEC, for inherited descriptors.
    package func setNonBlocking() throws(SystemError) {
        let raw = rawValue
        try SystemCall.call("fcntl") { clinux_set_nonblocking(raw) }
    }
}
