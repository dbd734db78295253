import Glibc

/// The environment of the process.
package enum Environment {
    /// The value of a variable, nil if it is not set.
    package static func value(_ name: String) -> String? {
        // Safe, as no code of the process changes the environment.
        unsafe getenv(name).map { unsafe String(cString: $0) }
    }

    /// The directory that relative paths start from; nil if it was deleted.
    package static var workingDirectory: String? {
        guard let path = unsafe getcwd(nil, 0) else { return nil }
        defer { unsafe free(path) }
        return unsafe String(cString: path)
    }
}
