import CLinux
import Glibc

/// A listening Unix stream socket, for the configuration socket: its file has mode 0600, in a directory
/// of mode 0755.
package struct UnixListener: ~Copyable, Sendable {
    // Declared first so that it is destroyed first: a client would delete a file whose socket refuses it.
    private var file: SocketFile?
    /// Readable when a client waits.
    package let descriptor: FileDescriptor
    /// The path of the file; nil for an adopted socket.
    package let path: String?

    /// Listens at `path`. Replaces a file that no process listens at.
    package init(path: String) throws(UnixListenerError) {
        let (directory, file) = Self.split(path)
        // Does not end in ".sock", so that no client takes it for an interface.
        let temporary = "\(directory)/.\(file).\(getpid())"
        var name = sockaddr_un()
        guard name.encode(path), name.encode(temporary) else { throw .pathTooLong(path) }
        try Self.makeDirectory(directory)
        try Self.checkStale(path)
        let fd = try Self.translatingErrors(directory) { () throws(SystemError) in
            try SystemCall.socket(AF_UNIX, Int32(clinux_STREAM), 0)
        }
        let identity = try Self.translatingErrors(directory) { () throws(SystemError) in
            try Self.listen(fd, as: name, temporary, path)
        }
        descriptor = fd
        self.path = path
        self.file = SocketFile(path: path, identity: identity)
    }

    /// Adopts a socket that listens already (WG_UAPI_FD). Its file is left alone.
    package init(adopting fd: consuming FileDescriptor) throws(UnixListenerError) {
        do throws(SystemError) {
            guard try SystemCall.getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN) != 0 else {
                throw SystemError(call: "listen", code: EINVAL)
            }
            try fd.setNonBlocking()
        } catch {
            throw .notListening
        }
        descriptor = fd
        path = nil
        file = nil
    }

    /// Transfers the ownership of the file: from now on it is not removed with the listener. Returns nil
    /// for an adopted socket, and the second time.
    package mutating func takeFile() -> SocketFile? {
        file.take()
    }

    /// Accepts the next client; nil if none waits.
    package func accept() throws(SystemError) -> UnixConnection? {
        let raw = descriptor.rawValue
        do throws(SystemError) {
            return UnixConnection(
                descriptor: try SystemCall.descriptor("accept4") { clinux_accept4(raw) })
        } catch {
            // ECONNABORTED: the client has closed its end already.
            if error.code == EAGAIN || error.code == ECONNABORTED { return nil }
            throw error
        }
    }

    private static func split(_ path: String) -> (directory: String, file: String) {
        guard let slash = path.lastIndex(of: "/") else { return (".", path) }
        let directory = path[..<slash]
        return (
            directory.isEmpty ? "/" : String(directory), String(path[path.index(after: slash)...])
        )
    }

    private static func makeDirectory(_ directory: String) throws(UnixListenerError) {
        try translatingErrors(directory) { () throws(SystemError) in
            do throws(SystemError) {
                // mkdir applies the umask; chmod does not.
                try SystemCall.call("mkdir") { unsafe mkdir(directory, 0o755) }
                try SystemCall.call("chmod") { unsafe chmod(directory, 0o755) }
            } catch {
                if error.code != EEXIST { throw error }
            }
        }
    }

    /// Throws if a process listens at `path`, or if it is not a socket.
    private static func checkStale(_ path: String) throws(UnixListenerError) {
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else { throw .notASocket(path) }
        do throws(SystemError) {
            _ = try UnixConnection(to: path)
        } catch {
            // With any other result a process listens; EAGAIN means that its backlog is full.
            if error.code == ECONNREFUSED || error.code == ENOENT { return }
        }
        throw .inUse(path)
    }

    /// Binds to a temporary name, listens, then renames the file: clients delete a file whose socket refuses
    /// them.
    private static func listen(
        _ fd: borrowing FileDescriptor, as name: sockaddr_un, _ temporary: String, _ path: String
    ) throws(SystemError) -> FileIdentity {
        unsafe unlink(temporary)
        try bind(fd, name)
        do throws(SystemError) {
            let raw = fd.rawValue
            try SystemCall.call("chmod") { unsafe chmod(temporary, 0o600) }
            try SystemCall.call("listen") { Glibc.listen(raw, SOMAXCONN) }
            let identity = try FileIdentity(path: temporary)
            try SystemCall.call("rename") { unsafe rename(temporary, path) }
            return identity
        } catch {
            unsafe unlink(temporary)
            throw error
        }
    }

    private static func bind(_ fd: borrowing FileDescriptor, _ name: sockaddr_un)
        throws(SystemError)
    {
        let raw = fd.rawValue
        // No client may connect before chmod; bind applies the umask.
        let before = umask(0o077)
        defer { umask(before) }
        try SystemCall.call("bind") {
            unsafe name.withSocketAddress { unsafe Glibc.bind(raw, $0, $1) }
        }
    }

    /// Calls `body`, and translates its errors.
    private static func translatingErrors<Result: ~Copyable>(
        _ directory: String, _ body: () throws(SystemError) -> Result
    ) throws(UnixListenerError) -> Result {
        do throws(SystemError) {
            return try body()
        } catch {
            switch error.code {
            case EACCES, EPERM: throw .notPermitted(directory: directory, user: geteuid())
            default: throw .system(error, directory: directory)
            }
        }
    }
}
