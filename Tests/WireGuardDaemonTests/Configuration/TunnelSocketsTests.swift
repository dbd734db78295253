import LinuxIO
import Testing

@testable import WireGuardDaemon

@Suite("Tunnel sockets")
struct TunnelSocketsTests {
    private let provider = FakeSocketProvider(pairs: 2)

    /// Sockets that are bound to a free port that was asked for by number.
    private func bound() throws -> TunnelSockets {
        var sockets = TunnelSockets()
        let port = try UDPSocketPair.bind(port: 0)[0].port
        _ = try sockets.apply(port: port, mark: nil, oldMark: 0, using: provider)
        try #require(sockets.port == port)
        _ = provider.takeCalls()
        return sockets
    }

    @Test("a port binds a pair per worker, with the new mark")
    func bind() throws {
        var sockets = TunnelSockets()
        let port = try UDPSocketPair.bind(port: 0)[0].port
        let areNew = try sockets.apply(port: port, mark: 5, oldMark: 3, using: provider)
        #expect(areNew)
        #expect(provider.takeCalls() == [.bind(port: port, mark: 5)])
        #expect(sockets.pairs.count == 2 && sockets.port == port && sockets.requestedPort == port)
    }

    @Test("the mark in use is kept for new sockets")
    func keptMark() throws {
        var sockets = try bound()
        _ = try sockets.apply(port: 0, mark: nil, oldMark: 3, using: provider)
        #expect(provider.takeCalls() == [.bind(port: 0, mark: 3)])
    }

    @Test("an interface that is not up binds a port as soon as it is set")
    func sameRequestWithoutSockets() throws {
        var sockets = TunnelSockets()
        #expect(try !sockets.apply(port: 0, mark: nil, oldMark: 0, using: provider))
        #expect(provider.takeCalls() == [] && sockets.port == 0)
    }

    @Test("the same port changes nothing")
    func samePort() throws {
        var sockets = try bound()
        let port = sockets.port
        #expect(try !sockets.apply(port: port, mark: nil, oldMark: 0, using: provider))
        #expect(provider.takeCalls() == [])
    }

    @Test("a free port that was assigned is kept when it is asked for by number")
    func assignedPort() throws {
        var sockets = TunnelSockets()
        #expect(try sockets.bindIfNeeded(mark: 0, using: provider))
        let port = sockets.port
        _ = provider.takeCalls()
        #expect(try !sockets.apply(port: port, mark: nil, oldMark: 0, using: provider))
        #expect(provider.takeCalls() == [] && sockets.requestedPort == port)
        // From a number to any port: new sockets.
        #expect(try sockets.apply(port: 0, mark: nil, oldMark: 0, using: provider))
        #expect(provider.takeCalls() == [.bind(port: 0, mark: 0)])
    }

    @Test("an error of bind leaves the old sockets and the old port")
    func bindError() throws {
        var sockets = try bound()
        let port = sockets.port
        provider.bindError = SystemError(call: "bind", code: 98)
        #expect(throws: SystemError(call: "bind", code: 98)) {
            _ = try sockets.apply(port: 1, mark: 9, oldMark: 0, using: provider)
        }
        #expect(sockets.port == port && sockets.requestedPort == port)
        #expect(provider.takeCalls() == [.bind(port: 1, mark: 9)])
    }

    @Test("a new mark is set on all pairs, the old one on none")
    func mark() throws {
        var sockets = try bound()
        #expect(try !sockets.apply(port: nil, mark: 7, oldMark: 0, using: provider))
        #expect(provider.takeCalls() == [.setMark(7), .setMark(7)])
        #expect(try !sockets.apply(port: nil, mark: 7, oldMark: 7, using: provider))
        #expect(provider.takeCalls() == [])
    }

    @Test("an error of a mark restores the old mark and keeps the old port")
    func markError() throws {
        var sockets = TunnelSockets()
        _ = try sockets.bindIfNeeded(mark: 3, using: provider)
        _ = provider.takeCalls()
        provider.failingMark = 1
        #expect(throws: SystemError.self) {
            _ = try sockets.apply(port: sockets.port, mark: 7, oldMark: 3, using: provider)
        }
        #expect(
            provider.takeCalls() == [.setMark(7), .setMark(7), .setMark(3), .setMark(3)])
        #expect(sockets.requestedPort == 0)
    }

    @Test("sockets are bound once when the interface comes up")
    func bindIfNeeded() throws {
        var sockets = TunnelSockets()
        #expect(try sockets.bindIfNeeded(mark: 4, using: provider))
        #expect(try !sockets.bindIfNeeded(mark: 4, using: provider))
        #expect(provider.takeCalls() == [.bind(port: 0, mark: 4)])
    }
}
