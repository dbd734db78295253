import CVersion

/// The version of this build. CHANGELOG.md lists what each version changed.
enum Version {
    static let number = "0.1.0"

    /// Such as "0.1.0 (48f2741c5a04)", or "0.1.0 (unknown commit)" unless scripts/build made it.
    static var description: String {
        // A string literal.
        unsafe "\(number) (\(String(cString: cversion_commit())))"
    }
}
