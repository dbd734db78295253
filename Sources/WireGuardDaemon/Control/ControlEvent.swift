/// What the control thread waits for. Each event is the readiness of one descriptor, identified by its
/// epoll token.
enum ControlEvent: Hashable {
    /// A signal that ends the daemon arrived.
    case signal
    /// The deadline of the alarm passed.
    case timer
    /// A worker has work for the control thread.
    case wakeUp
    /// The interface or its addresses changed.
    case link
    /// Routes or addresses of the host changed.
    case routes
    /// A client connects to the configuration socket.
    case listener
    /// The file of the configuration socket changed.
    case socketFile
    /// A client of the configuration socket sent something, or takes more of its answer.
    case client(StreamClientID)

    /// The token of the descriptor.
    var token: UInt64 {
        switch self {
        case .signal: 0
        case .timer: 1
        case .wakeUp: 2
        case .link: 3
        case .routes: 4
        case .listener: 5
        case .socketFile: 6
        case .client(let id): Self.firstClient &+ id.rawValue
        }
    }

    /// The event of a token; nil for a token that ``token`` never returns.
    init?(token: UInt64) {
        switch token {
        case 0: self = .signal
        case 1: self = .timer
        case 2: self = .wakeUp
        case 3: self = .link
        case 4: self = .routes
        case 5: self = .listener
        case 6: self = .socketFile
        case Self.firstClient...:
            self = .client(StreamClientID(rawValue: token - Self.firstClient))
        default: return nil
        }
    }

    private static let firstClient: UInt64 = 1 << 32
}
