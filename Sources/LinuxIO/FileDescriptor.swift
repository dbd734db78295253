import CLinux
import Glibc

/// An open file, closed when its owner goes away.
package struct FileDescriptor: ~Copyable, Sendable {
    /// The number, to lend to a system call; it stays valid as long as this value lives.
    package let rawValue: Int32

    /// Takes over a descriptor that nobody else closes.
    package init(owning rawValue: Int32) {
        self.rawValue = rawValue
    }

    deinit {
        // Not repeated after EINTR: Linux has released the number by then.
        _ = Glibc.close(rawValue)
    }

    /// Gives up the descriptor without closing it.
    package consuming func release() -> Int32 {
        let rawValue = rawValue
        discard self
        return rawValue
    }

    /// A second descriptor of the same open file.
    package func duplicate() throws(SystemError) -> FileDescriptor {
        let raw = rawValue
        return try SystemCall.open("fcntl") { clinux_duplicate(raw) }
    }

    /// Sets O_NONBLOCK and FD_CLOEXEC, for descriptors that were inherited.
    package func setNonBlocking() throws(SystemError) {
        let raw = rawValue
        try SystemCall.call("fcntl") { clinux_set_nonblocking(raw) }
    }
}
