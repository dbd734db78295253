import LinuxIO
import Packets
import Testing
import WireGuard

@testable import WireGuardDaemon

/// A protocol whose requests are lines of text. Blank lines are skipped.
struct LineParser: ~Copyable {
    private var line: [UInt8] = []

    var isBetweenRequests: Bool { line.isEmpty }

    mutating func read(_ bytes: RawSpan, from offset: inout Int) -> String? {
        while offset < bytes.byteCount {
            let byte = bytes.byte(at: offset)
            offset += 1
            guard byte == UInt8(ascii: "\n") else {
                line.append(byte)
                continue
            }
            if line.isEmpty { continue }
            defer { line = [] }
            return String(decoding: line, as: UTF8.self)
        }
        return nil
    }
}

struct LineAnswer: ~Copyable, StreamAnswer {
    private var text = WipedText()

    init(_ bytes: [UInt8]) {
        // Bytes have no padding.
        text.append(unsafe bytes.span.bytes)
    }

    var byteCount: Int { text.byteCount }
    var bytes: RawSpan {
        @_lifetime(borrow self)
        get { text.bytes }
    }
}

/// A stream server of lines and its listener. Answers are the request in angle brackets.
final class LineServer {
    typealias Server = StreamServer<LineParser, String, LineAnswer>

    private var server: Server
    private let directory: TestDirectory
    private let listener: UnixListener

    init(limits: StreamLimits = StreamLimits()) throws {
        let directory = try TestDirectory()
        listener = try UnixListener(path: "\(directory.path)/socket")
        self.directory = directory
        server = Server(
            StreamProtocol(
                makeParser: { LineParser() }, parse: { $0.read($1, from: &$2) },
                isBetweenRequests: { $0.isBetweenRequests }),
            limits: limits)
    }

    /// Connects a client and admits it.
    func connect(at now: ObservedInstant = at(0)) throws -> LineClient {
        let connection = try UnixConnection(to: "\(directory.path)/socket")
        guard let accepted = try listener.accept() else {
            throw SystemError(call: "accept4", code: 11)
        }
        return LineClient(connection, id: server.admit(accepted, now: now).id)
    }

    /// Continues with a client, and answers its requests.
    ///
    /// - Returns: the requests.
    @discardableResult
    func serve(
        _ client: LineClient, at now: ObservedInstant = at(0),
        answer: (String) -> [UInt8] = { Array("<\($0)>".utf8) }
    ) -> [String] {
        var requests: [String] = []
        server.resume(client.id, now: now)
        while let request = server.nextRequest(of: client.id, now: now) {
            requests.append(request)
            server.send(LineAnswer(answer(request)), to: client.id, now: now)
        }
        return requests
    }

    // MARK: The server's own calls

    func resume(_ id: StreamClientID, at now: ObservedInstant = at(0)) {
        server.resume(id, now: now)
    }

    func nextRequest(_ id: StreamClientID) -> String? {
        server.nextRequest(of: id, now: at(0))
    }

    func send(_ bytes: [UInt8], to id: StreamClientID, closing: Bool = false) {
        server.send(LineAnswer(bytes), to: id, closing: closing, now: at(0))
    }

    func interestChange(_ client: LineClient) -> Epoll.Interest? {
        server.takeInterestChange(of: client.id)
    }

    func close(_ client: LineClient) { server.close(client.id) }
    func evictStalled(at now: ObservedInstant) { server.evictStalled(now: now) }
    func evictIdlest() -> Bool { server.evictIdlest() }
    func isOpen(_ client: LineClient) -> Bool { server.client(client.id) != nil }
    var count: Int { server.count }
    var nextDeadline: ObservedInstant? { server.nextDeadline }
}

/// The other end of a connection.
final class LineClient {
    let connection: UnixConnection
    let id: StreamClientID

    init(_ connection: consuming UnixConnection, id: StreamClientID) {
        self.connection = connection
        self.id = id
    }

    func write(_ text: String) {
        let bytes = Array(text.utf8)
        // Bytes have no padding.
        let result = connection.write(unsafe bytes.span.bytes)
        #expect(result == .bytes(bytes.count))
    }

    /// The bytes that wait, at most `limit`.
    func read(atMost limit: Int = 1 << 20) -> [UInt8] {
        var buffer = PacketBuffer(byteCount: limit)
        var bytes = buffer.mutableBytes
        guard case .bytes(let count) = connection.read(into: &bytes, count: limit) else {
            return []
        }
        return (0..<count).map { bytes.byte(at: $0) }
    }

    func readText() -> String {
        String(decoding: read(), as: UTF8.self)
    }

    /// Whether the server has closed the connection.
    func isClosed() -> Bool {
        var buffer = PacketBuffer(byteCount: 1)
        var bytes = buffer.mutableBytes
        return connection.read(into: &bytes, count: 1) == .closed
    }
}
