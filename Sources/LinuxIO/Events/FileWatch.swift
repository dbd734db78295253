import CLinux
import Glibc

/// Reports that a file was deleted, replaced or renamed (inotify(7)).
///
/// The kernel keeps the inode of a bound socket until the socket closes. A deletion is therefore only
/// a change of the link count, and `drain` compares the inode of the path.
package struct FileWatch: ~Copyable {
    /// Readable after a change of the file.
    package let descriptor: FileDescriptor
    private let path: String
    private let identity: FileIdentity

    /// Watches the file that has this path now.
    package init(path: String) throws(SystemError) {
        let fd = try SystemCall.descriptor("inotify_init1") {
            inotify_init1(Int32(clinux_CLOEXEC_INOTIFY))
        }
        let raw = fd.rawValue
        let mask = UInt32(IN_ATTRIB) | UInt32(IN_DELETE_SELF) | UInt32(IN_MOVE_SELF)
        try SystemCall.call("inotify_add_watch") { unsafe inotify_add_watch(raw, path, mask) }
        // After the watch was added, so that no deletion is missed in between.
        identity = try FileIdentity(path: path)
        descriptor = fd
        self.path = path
    }

    /// Discards the events. Returns whether the file still has its path.
    package func drain() -> Bool {
        while (try? SystemCall.read(descriptor, count: 4096)) != nil {}
        return identity.isNamed(path)
    }
}
