import CLinux
import Glibc

/// The configuration socket: a stream socket with a name in the file system, mode 0600 in a directory
/// of mode 0755. The name is removed when the owner goes away, unless it is somebody else's by then.
package struct UnixListener: ~Copyable, Sendable {
    /// Readable when a client waits.
    package let descriptor: FileDescriptor
    /// Its name; nil for a socket that was handed to us, which has its own owner.
    package let path: String?
    private let identity: FileIdentity?

    /// Listens at `path`. A stale file is replaced, a live one is an error.
    ///
    /// The name appears when the socket listens already: clients delete one that refuses them.
    package init(path: String) throws(UnixListenerError) {
        let (directory, file) = Self.split(path)
        // Not ending in ".sock", so that no client takes it for an interface.
        let temporary = "\(directory)/.\(file).\(getpid())"
        var name = sockaddr_un()
        guard name.encode(path), name.encode(temporary) else { throw .pathTooLong(path) }
        try Self.makeDirectory(directory)
        try Self.checkStale(path)
        let fd = try Self.explaining(directory) { () throws(SystemError) in
            try SystemCall.socket(AF_UNIX, Int32(clinux_STREAM), 0)
        }
        let identity = try Self.explaining(directory) { () throws(SystemError) in
            try Self.listen(fd, as: name, temporary, path)
        }
        descriptor = fd
        self.path = path
        self.identity = identity
    }

    /// Takes over a socket that listens already (WG_UAPI_FD).
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
        identity = nil
    }

    deinit {
        if let path, let identity, identity.isNamed(path) { unsafe unlink(path) }
    }

    /// The next client that waits; nil if there is none.
    package func accept() throws(SystemError) -> UnixConnection? {
        let raw = descriptor.rawValue
        do throws(SystemError) {
            return UnixConnection(
                descriptor: try SystemCall.open("accept4") { clinux_accept4(raw) })
        } catch {
            // A client that has given up is none.
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
        try explaining(directory) { () throws(SystemError) in
            do throws(SystemError) {
                // The mode is what the umask leaves of it, hence chmod.
                try SystemCall.call("mkdir") { unsafe mkdir(directory, 0o755) }
                try SystemCall.call("chmod") { unsafe chmod(directory, 0o755) }
            } catch {
                if error.code != EEXIST { throw error }
            }
        }
    }

    /// Throws if somebody listens at `path`, or if it is no socket.
    private static func checkStale(_ path: String) throws(UnixListenerError) {
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else { throw .notASocket(path) }
        do throws(SystemError) {
            _ = try UnixConnection(to: path)
        } catch {
            // All others mean that somebody is there; EAGAIN, that too many clients wait.
            if error.code == ECONNREFUSED || error.code == ENOENT { return }
        }
        throw .inUse(path)
    }

    /// Binds the temporary name, listens, and only then takes the real name.
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
        // Nobody may connect before chmod: the mode is made of the umask.
        let before = umask(0o077)
        defer { umask(before) }
        try SystemCall.call("bind") {
            unsafe name.withSocketAddress { unsafe Glibc.bind(raw, $0, $1) }
        }
    }

    /// Runs `body`, and says of a refusal what it means here.
    private static func explaining<Result: ~Copyable>(
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

/// Why there is no configuration socket.
package enum UnixListenerError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Another daemon answers there.
    case inUse(String)
    /// Something else has that name.
    case notASocket(String)
    /// The name does not fit a socket address.
    case pathTooLong(String)
    /// This user may not make files in the directory.
    case notPermitted(directory: String, user: UInt32)
    /// The descriptor given is no listening socket.
    case notListening
    /// Anything else.
    case system(SystemError, directory: String)

    /// One line that says what is wrong and how to mend it.
    package var description: String {
        switch self {
        case .inUse(let path): "the interface is in use: another process listens at \(path)"
        case .notASocket(let path): "\(path) exists and is no socket: remove it"
        case .pathTooLong(let path): "\(path) is too long for the name of a socket"
        case .notPermitted(let directory, let user):
            "no permission to make the socket in \(directory): the directory must belong to user \(user) (mkdir -p \(directory) && chown \(user) \(directory)), or the daemon must run as root"
        case .notListening: "the descriptor given is no socket that listens"
        case .system(let error, let directory): "cannot make the socket in \(directory): \(error)"
        }
    }
}
