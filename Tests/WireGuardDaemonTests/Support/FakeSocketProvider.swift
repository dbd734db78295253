import LinuxIO
import Synchronization

@testable import WireGuardDaemon

/// Records what the configuration asks for. Sockets are real, on free ports of the host.
final class FakeSocketProvider: SocketProvider {
    enum Call: Equatable {
        case bind(port: UInt16, mark: UInt32)
        case setMark(UInt32)
        case deliver(Int)
    }

    /// What was asked, in order.
    private(set) var calls: [Call] = []
    /// The error of the next calls to `bind`.
    var bindError: SystemError?
    /// The call to `set(mark:of:)` that fails, counted from 0 over the life of the provider.
    var failingMark: Int?
    private var marks = 0
    private let pairs: Int

    init(pairs: Int = 1) {
        self.pairs = pairs
    }

    /// The calls since this was read last.
    func takeCalls() -> [Call] {
        defer { calls = [] }
        return calls
    }

    func bind(port: UInt16, mark: UInt32) throws(SystemError) -> [UDPSocketPair] {
        calls.append(.bind(port: port, mark: mark))
        if let bindError { throw bindError }
        return try UDPSocketPair.bind(port: port, count: pairs)
    }

    func set(mark: UInt32, of pair: UDPSocketPair) throws(SystemError) {
        calls.append(.setMark(mark))
        defer { marks += 1 }
        if marks == failingMark { throw SystemError(call: "setsockopt", code: 1) }
    }

    func deliver(_ pairs: [UDPSocketPair]) {
        calls.append(.deliver(pairs.count))
    }
}
