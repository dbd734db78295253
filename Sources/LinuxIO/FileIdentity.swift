import Glibc

/// The identity of a file independent of its name: device and inode.
struct FileIdentity: Equatable, Sendable {
    let device: UInt64
    let inode: UInt64

    /// The file with this path. Does not follow a symbolic link.
    init(path: String) throws(SystemError) {
        var status = stat()
        try SystemCall.call("lstat") { unsafe lstat(path, &status) }
        self.init(status)
    }

    /// The open file of a descriptor.
    init(_ fd: borrowing FileDescriptor) throws(SystemError) {
        var status = stat()
        let raw = fd.rawValue
        try SystemCall.call("fstat") { unsafe fstat(raw, &status) }
        self.init(status)
    }

    private init(_ status: stat) {
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
    }

    /// Whether `path` is a name of this file.
    func isNamed(_ path: String) -> Bool {
        (try? FileIdentity(path: path)) == self
    }
}
