/// What is wrong with the environment.
package enum SettingsError: Error, CustomStringConvertible {
    /// A variable has a value that means nothing.
    case invalidVariable(name: String, value: String)

    package var description: String {
        switch self {
        case .invalidVariable(let name, let value):
            "the environment variable \(name) has the value \"\(value)\", which is not understood: correct or unset it"
        }
    }
}
