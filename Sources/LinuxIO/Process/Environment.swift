import CLinux
import Glibc

/// What the process was started with.
package enum Environment {
    /// The value of a variable, nil if it is not set.
    package static func value(_ name: String) -> String? {
        // Read before the first thread starts; nothing here changes the environment.
        unsafe getenv(name).map { unsafe String(cString: $0) }
    }

    /// The directory that relative paths start from; nil if it was deleted.
    package static var workingDirectory: String? {
        guard let path = unsafe getcwd(nil, 0) else { return nil }
        defer { unsafe free(path) }
        return unsafe String(cString: path)
    }

    /// Takes variables out, so that children do not inherit what was meant for us.
    package static func remove(_ names: [String]) {
        for name in names { unsafe unsetenv(name) }
    }
}

extension InterfaceName {
    /// The index of the interface of that name in our own network namespace, 0 for none.
    package var index: UInt32 {
        unsafe if_nametoindex(rawValue)
    }
}
