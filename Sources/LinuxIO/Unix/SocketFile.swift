import Glibc

/// The file of a bound Unix socket. It is removed when its owner is destroyed, unless another file has
/// its name by then.
package struct SocketFile: ~Copyable, Sendable {
    /// The path of the file.
    package let path: String
    private let identity: FileIdentity

    init(path: String, identity: FileIdentity) {
        self.path = path
        self.identity = identity
    }

    deinit {
        if identity.isNamed(path) { unsafe unlink(path) }
    }
}
