import CLinux
import Glibc

/// Tells when a file of ours is deleted, replaced or moved away (inotify).
///
/// The kernel keeps the inode of a bound socket while it is open, so its deletion shows as a change
/// of the link count, and the name has to be looked at.
package struct FileWatch: ~Copyable {
    /// Readable when something has happened to the file.
    package let descriptor: FileDescriptor
    private let path: String
    private let identity: FileIdentity

    /// Watches the file that `path` names now.
    package init(path: String) throws(SystemError) {
        let fd = try SystemCall.open("inotify_init1") {
            inotify_init1(Int32(clinux_CLOEXEC_INOTIFY))
        }
        let raw = fd.rawValue
        let mask = UInt32(IN_ATTRIB) | UInt32(IN_DELETE_SELF) | UInt32(IN_MOVE_SELF)
        try SystemCall.call("inotify_add_watch") { unsafe inotify_add_watch(raw, path, mask) }
        // After the watch, so that no deletion is missed between the two.
        identity = try FileIdentity(path: path)
        descriptor = fd
        self.path = path
    }

    /// Takes the events that came; true while the file is still there under its name.
    package func drain() -> Bool {
        // What they say does not matter: the name is looked at.
        while (try? SystemCall.read(descriptor, count: 4096)) != nil {}
        return identity.isNamed(path)
    }
}

/// Which file it is, whatever its name: device and inode.
struct FileIdentity: Equatable, Sendable {
    let device: UInt64
    let inode: UInt64

    /// The file that a name stands for; a symbolic link stands for itself.
    init(path: String) throws(SystemError) {
        var status = stat()
        try SystemCall.call("lstat") { unsafe lstat(path, &status) }
        self.init(status)
    }

    /// The file that is open.
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

    /// Whether `path` names this file.
    func isNamed(_ path: String) -> Bool {
        (try? FileIdentity(path: path)) == self
    }
}
