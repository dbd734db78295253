/// An error while the configuration socket is created or adopted.
package enum UnixListenerError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Another process listens at this path.
    case inUse(String)
    /// A file that is not a socket has this path.
    case notASocket(String)
    /// The path does not fit a socket address.
    case pathTooLong(String)
    /// The user may not create files in the directory.
    case notPermitted(directory: String, user: UInt32)
    /// The descriptor is not a listening socket.
    case notListening
    /// Any other error.
    case system(SystemError, directory: String)

    /// One line: the problem and its remedy.
    package var description: String {
        switch self {
        case .inUse(let path): "the interface is in use: another process listens at \(path)"
        case .notASocket(let path): "\(path) exists and is not a socket: remove it"
        case .pathTooLong(let path): "\(path) is too long for the path of a socket"
        case .notPermitted(let directory, let user):
            "no permission to create the socket in \(directory): the directory must belong to user \(user) (mkdir -p \(directory) && chown \(user) \(directory)), or the daemon must run as root"
        case .notListening: "the given descriptor is not a listening socket"
        case .system(let error, let directory): "cannot create the socket in \(directory): \(error)"
        }
    }
}
