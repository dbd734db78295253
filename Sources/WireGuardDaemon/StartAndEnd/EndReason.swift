/// Why a running daemon ends without an error.
enum EndReason: Equatable, CustomStringConvertible {
    case signal(Int32)
    case interfaceDeleted
    case socketDeleted

    var description: String {
        switch self {
        case .signal(let number): "received signal \(number)"
        case .interfaceDeleted: "the interface was deleted"
        case .socketDeleted: "the configuration socket was deleted"
        }
    }
}
