import LinuxIO
import Packets
import WireGuard

/// A bounded server for stream sockets: it reads requests and sends answers without ever blocking.
///
/// The server never calls its owner. The owner admits connections, waits for them, and on each event
/// does this:
///
///     server.resume(id, now: now)
///     while let request = server.nextRequest(of: id, now: now) {
///         server.send(answer, to: id, now: now)
///     }
///     if let interest = server.takeInterestChange(of: id) { … }
///
/// A client that stalls delays no other client; ``evictStalled(now:)`` closes it after a while. A client
/// that does not read its answer gets no further answers.
struct StreamServer<
    Parser: ~Copyable, Request: ~Copyable, Answer: StreamAnswer & ~Copyable
>: ~Copyable {
    typealias Client = StreamClient<Parser, Answer>

    private let format: StreamProtocol<Parser, Request>
    private let limits: StreamLimits
    private var clients: [StreamClientID: Client] = [:]
    private var lastID: UInt64 = 0
    private var readBuffer: PacketBuffer

    init(_ format: StreamProtocol<Parser, Request>, limits: StreamLimits = StreamLimits()) {
        self.format = format
        self.limits = limits
        readBuffer = PacketBuffer(byteCount: limits.readByteCount)
    }

    // MARK: Clients

    /// The number of connected clients.
    var count: Int { clients.count }

    /// Takes over a connection; evicts the idlest client if there are too many.
    mutating func admit(_ connection: consuming UnixConnection, now: ObservedInstant) -> Client {
        if clients.count >= limits.clients { evictIdlest() }
        lastID += 1
        let client = Client(
            id: StreamClientID(rawValue: lastID), connection: connection,
            parser: format.makeParser(), now: now)
        clients[client.id] = client
        return client
    }

    /// Closes the client that was idle longest. Returns false if there is no client.
    @discardableResult
    mutating func evictIdlest() -> Bool {
        let idlest = clients.values.min {
            ($0.lastActive, $0.id.rawValue) < ($1.lastActive, $1.id.rawValue)
        }
        guard let idlest else { return false }
        clients[idlest.id] = nil
        return true
    }

    /// A client by its number; nil if it is closed.
    func client(_ id: StreamClientID) -> Client? {
        clients[id]
    }

    /// Closes a connection.
    mutating func close(_ id: StreamClientID) {
        clients[id] = nil
    }

    /// What to wait for on the connection, if that changed since the last call; nil if it did not.
    func takeInterestChange(of id: StreamClientID) -> Epoll.Interest? {
        guard let client = clients[id], client.interest != client.registeredInterest else {
            return nil
        }
        client.registeredInterest = client.interest
        return client.interest
    }

    // MARK: Requests and answers

    /// Continues after an event on the connection: sends the rest of an answer, then reads once.
    mutating func resume(_ id: StreamClientID, now: ObservedInstant) {
        guard let client = clients[id] else { return }
        if client.phase == .receiving { flush(client, now: now) }
        guard clients[id] != nil, client.phase == .requesting, client.input.byteCount == 0 else {
            return
        }
        read(client, now: now)
    }

    /// The next complete request among the bytes read so far; nil if there is none, or if the client
    /// has to read an answer first. Each request must be answered before the next one is returned.
    mutating func nextRequest(of id: StreamClientID, now: ObservedInstant) -> Request? {
        guard let client = clients[id], client.phase == .requesting, client.input.byteCount > 0
        else { return nil }
        // Moved out, since the parser is modified while it reads.
        var input = WipedText()
        swap(&input, &client.input)
        let request = format.parse(&client.parser, input.bytes, &client.parsed)
        let isComplete = request != nil
        if client.parsed < input.byteCount, isComplete {
            swap(&input, &client.input)
        } else {
            client.parsed = 0
        }
        if isComplete {
            client.phase = .awaitingAnswer
            client.exchangeStart = client.input.byteCount > 0 ? now : nil
        } else if format.isBetweenRequests(client.parser) {
            client.exchangeStart = nil
        }
        return request
    }

    /// Sends an answer, as far as the client takes it; ``resume(_:now:)`` sends the rest.
    ///
    /// - Parameter closing: whether to close the connection after the answer.
    mutating func send(
        _ answer: consuming Answer, to id: StreamClientID, closing: Bool = false,
        now: ObservedInstant
    ) {
        guard let client = clients[id], client.phase == .awaitingAnswer else { return }
        client.answer = consume answer
        client.sent = 0
        client.closesAfterAnswer = closing
        flush(client, now: now)
    }

    private mutating func flush(_ client: Client, now: ObservedInstant) {
        let wasReceiving = client.phase == .receiving
        guard let answer = client.answer.take() else { return }
        while client.sent < answer.byteCount {
            let rest = answer.bytes.extracting(client.sent..<answer.byteCount)
            switch client.connection.write(rest) {
            case .bytes(let count):
                client.sent += count
                client.lastActive = now
            case .wouldBlock:
                // The time limits of an exchange include the reading of its answer.
                if client.exchangeStart == nil { client.exchangeStart = now }
                client.phase = .receiving
                client.answer = consume answer
                return
            case .closed, .failed:
                return close(client.id)
            }
        }
        if client.closesAfterAnswer { return close(client.id) }
        client.phase = .requesting
        if wasReceiving, client.input.byteCount == 0 { client.exchangeStart = nil }
    }

    private mutating func read(_ client: Client, now: ObservedInstant) {
        var buffer = readBuffer.mutableBytes
        switch client.connection.read(into: &buffer, count: buffer.byteCount) {
        case .wouldBlock: break
        case .closed, .failed: close(client.id)
        case .bytes(let count):
            client.lastActive = now
            if client.exchangeStart == nil { client.exchangeStart = now }
            client.input.append(buffer.bytes.extracting(0..<count))
            // The bytes may contain keys.
            buffer.zero(0..<count)
        }
    }

    // MARK: Stalled clients

    /// Closes the clients that paused too long in the middle of a request or an answer.
    mutating func evictStalled(now: ObservedInstant) {
        for client in clients.values where client.deadline(limits).map({ $0 <= now }) == true {
            clients[client.id] = nil
        }
    }

    /// When to call ``evictStalled(now:)`` next; nil if there is nothing to wait for.
    var nextDeadline: ObservedInstant? {
        clients.values.compactMap { $0.deadline(limits) }.min()
    }
}
