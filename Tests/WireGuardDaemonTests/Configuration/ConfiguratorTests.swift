import LinuxIO
import Logging
import Packets
import Testing
import WireGuard

@testable import WireGuardDaemon

@Suite("Configurator")
struct ConfiguratorTests {
    private let provider = FakeSocketProvider()
    private let sink = RecordingSink()
    private let device: Device
    private let configurator: Configurator

    init() throws {
        try #require(Cryptography.isReady)
        device = Device()
        configurator = Configurator(device: device, provider: provider, log: sink.logger())
    }

    /// Answers the requests in `text`.
    private func answers(_ text: String) -> [(text: String, closes: Bool)] {
        let bytes = Array(text.utf8)
        let format = StreamProtocol.uapi
        var parser = format.makeParser()
        var offset = 0
        var answers: [(text: String, closes: Bool)] = []
        // Bytes have no padding.
        while let request = format.parse(&parser, unsafe bytes.span.bytes, &offset) {
            let reply = configurator.answer(request, at: moment())
            let span = reply.text.bytes
            let answer = (0..<span.byteCount).map { span.byte(at: $0) }
            answers.append((String(decoding: answer, as: UTF8.self), reply.closes))
            if reply.closes { break }
        }
        return answers
    }

    private func answer(_ text: String) -> String {
        answers(text).map(\.text).joined(separator: "|")
    }

    private static let key = String(repeating: "ab", count: 32)

    @Test("a get describes the device")
    func get() {
        #expect(answer("get=1\n\n") == "errno=0\n\n")
        #expect(answer("set=1\nfwmark=5\n\n") == "errno=0\n\n")
        #expect(answer("get=1\n\n") == "fwmark=5\nerrno=0\n\n")
    }

    @Test("a set with a port binds and delivers sockets")
    func port() throws {
        let port = try UDPSocketPair.bind(port: 0)[0].port
        #expect(answer("set=1\nlisten_port=\(port)\n\n") == "errno=0\n\n")
        #expect(provider.takeCalls() == [.bind(port: port, mark: 0), .deliver(1)])
        #expect(answer("get=1\n\n") == "listen_port=\(port)\nerrno=0\n\n")
    }

    @Test("a set that the system refuses changes nothing, and is logged")
    func refused() {
        provider.bindError = SystemError(call: "bind", code: 98)
        let text = "set=1\nlisten_port=1\nfwmark=5\npublic_key=\(Self.key)\n\n"
        #expect(answer(text) == "errno=-98\n\n")
        #expect(answer("get=1\n\n") == "errno=0\n\n")
        #expect(provider.takeCalls() == [.bind(port: 1, mark: 5)])
        let line = "(wgtest) cannot apply a configuration: bind: Address already in use"
        #expect(sink.lines == ["ERROR: \(line)"])
    }

    @Test("invalid requests are answered with their error, and the connection stays open")
    func invalid() {
        let answers = answers("get=2\n\nset=1\nfoo=1\n\nset=1\nfoo\n\nget=1\n\n")
        #expect(
            answers.map(\.text) == [
                "errno=22\n\n", "errno=-22\n\n", "errno=-71\n\n", "errno=0\n\n",
            ])
        #expect(!answers.contains { $0.closes })
    }

    @Test("a line that is too long is the last one of its connection")
    func longLine() {
        let answers = answers("set=1\n" + String(repeating: "x", count: 5000))
        #expect(answers.map(\.text) == ["errno=-22\n\n"])
        #expect(answers.map(\.closes) == [true])
    }

    @Test("an interface that comes up binds any port once")
    func bindIfNeeded() {
        configurator.bindIfNeeded()
        configurator.bindIfNeeded()
        #expect(provider.takeCalls() == [.bind(port: 0, mark: 0), .deliver(1)])
        #expect(configurator.sockets.port != 0)
        #expect(answer("get=1\n\n") == "listen_port=\(configurator.sockets.port)\nerrno=0\n\n")
    }

    @Test("an interface that cannot bind a port says why")
    func cannotBind() {
        provider.bindError = SystemError(call: "bind", code: 98)
        configurator.bindIfNeeded()
        #expect(provider.takeCalls() == [.bind(port: 0, mark: 0)])
        #expect(
            sink.lines == [
                "ERROR: (wgtest) cannot bind a UDP socket: bind: Address already in use"
            ])
    }
}
