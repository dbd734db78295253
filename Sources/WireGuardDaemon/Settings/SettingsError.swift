/// Why the environment is rejected.
package enum SettingsError: Error, Equatable, CustomStringConvertible {
    /// A variable has a value that it cannot have.
    case invalidVariable(name: String, value: String)

    package var description: String {
        switch self {
        case .invalidVariable(let name, let value):
            "the environment variable \(name) has the invalid value \"\(value)\": correct or unset it"
        }
    }
}
