import LinuxIO
import Testing
import WireGuard

@testable import WireGuardDaemon

@Suite("Stream server")
struct StreamServerTests {
    /// More than the socket buffers hold.
    private static let large = [UInt8](repeating: 7, count: 4 << 20)

    /// Reads all of a large answer; the server sends the rest in between.
    private func drain(
        _ client: LineClient, of server: LineServer, at now: ObservedInstant = at(0),
        count: Int = large.count
    ) -> Int {
        var received = 0
        while received < count {
            let bytes = client.read(atMost: min(1 << 20, count - received))
            guard !bytes.isEmpty else { return received }
            received += bytes.count
            if received < count { server.resume(client.id, at: now) }
        }
        return received
    }

    // MARK: Requests and answers

    @Test("requests of one read are answered in order")
    func order() throws {
        let server = try LineServer()
        let client = try server.connect()
        client.write("a\nb\nc\n")
        #expect(server.serve(client) == ["a", "b", "c"])
        #expect(client.readText() == "<a><b><c>")
    }

    @Test("a request may arrive in pieces")
    func pieces() throws {
        let server = try LineServer()
        let client = try server.connect()
        client.write("one\ntw")
        #expect(server.serve(client) == ["one"])
        #expect(server.serve(client) == [])
        client.write("o\n")
        #expect(server.serve(client) == ["two"])
        #expect(client.readText() == "<one><two>")
    }

    @Test("one resume reads no more than the limit")
    func readLimit() throws {
        var limits = StreamLimits()
        limits.readByteCount = 4
        let server = try LineServer(limits: limits)
        let client = try server.connect()
        client.write("a\nb\nc\n")
        #expect(server.serve(client) == ["a", "b"])
        #expect(server.serve(client) == ["c"])
    }

    @Test("the next request waits for the answer to this one")
    func oneAtATime() throws {
        let server = try LineServer()
        let client = try server.connect()
        client.write("a\nb\n")
        server.resume(client.id, at: at(0))
        #expect(server.nextRequest(client.id) == "a")
        #expect(server.nextRequest(client.id) == nil)
        #expect(server.interestChange(client) == [])
        server.send([1], to: client.id)
        #expect(server.nextRequest(client.id) == "b")
    }

    @Test("an answer without a request is not sent")
    func unasked() throws {
        let server = try LineServer()
        let client = try server.connect()
        server.send([1], to: client.id)
        #expect(client.read() == [])
        #expect(server.isOpen(client))
    }

    @Test("a client that does not read its answer gets no further ones")
    func unreadAnswer() throws {
        let server = try LineServer()
        let client = try server.connect()
        client.write("a\nb\n")
        #expect(server.serve(client) { _ in Self.large } == ["a"])
        #expect(server.serve(client) == [])
        #expect(server.interestChange(client) == .writable)
        #expect(server.interestChange(client) == nil)
        #expect(drain(client, of: server) == Self.large.count)
        #expect(server.serve(client) == ["b"])
        #expect(server.interestChange(client) == .readable)
        #expect(client.readText() == "<b>")
    }

    @Test("a stalled client does not delay another")
    func independence() throws {
        let server = try LineServer()
        let (stalled, other) = try (server.connect(), server.connect())
        stalled.write("a\n")
        server.serve(stalled) { _ in Self.large }
        other.write("b\n")
        #expect(server.serve(other) == ["b"])
        #expect(other.readText() == "<b>")
    }

    @Test("a closing answer is sent completely before the connection is closed")
    func closing() throws {
        let server = try LineServer()
        let client = try server.connect()
        client.write("a\nb\n")
        server.resume(client.id, at: at(0))
        _ = server.nextRequest(client.id)
        server.send(Self.large, to: client.id, closing: true)
        #expect(server.isOpen(client))
        #expect(drain(client, of: server) == Self.large.count)
        #expect(client.isClosed())
        #expect(!server.isOpen(client))
    }

    // MARK: Clients

    @Test("a client that hangs up is closed")
    func hangUp() throws {
        let server = try LineServer()
        var client: LineClient? = try server.connect()
        let id = try #require(client?.id)
        #expect(server.count == 1)
        client = nil
        server.resume(id, at: at(0))
        #expect(server.count == 0)
        #expect(server.count == 0)
        _ = consume client
    }

    @Test("a client that hangs up instead of reading its answer is closed")
    func hangUpWhileReceiving() throws {
        let server = try LineServer()
        var client: LineClient? = try server.connect()
        let id = try #require(client?.id)
        client?.write("a\n")
        server.resume(id, at: at(0))
        let request = server.nextRequest(id)
        #expect(request == "a")
        client = nil
        server.send([1], to: id)
        #expect(server.count == 0)
        _ = consume client
    }

    @Test("calls for a closed client do nothing")
    func closedClient() throws {
        let server = try LineServer()
        let client = try server.connect()
        client.write("a\n")
        server.close(client)
        #expect(server.serve(client) == [])
        #expect(server.interestChange(client) == nil)
        server.send([1], to: client.id)
        #expect(server.count == 0)
    }

    @Test("one client too many evicts the one that was idle longest")
    func tooManyClients() throws {
        var limits = StreamLimits()
        limits.clients = 2
        let server = try LineServer(limits: limits)
        let first = try server.connect(at: at(0))
        let second = try server.connect(at: at(1))
        first.write("a\n")
        server.serve(first, at: at(2))
        let third = try server.connect(at: at(3))
        #expect(server.isOpen(first) && !server.isOpen(second) && server.isOpen(third))
        #expect(second.isClosed())
    }

    @Test("eviction reports whether there was a client")
    func eviction() throws {
        let server = try LineServer()
        #expect(!server.evictIdlest())
        let (first, second) = try (server.connect(), server.connect())
        #expect(server.evictIdlest())
        #expect(!server.isOpen(first) && server.isOpen(second))
    }

    // MARK: Stalled clients

    @Test("a client may be idle without limit between requests")
    func idle() throws {
        let server = try LineServer()
        let client = try server.connect()
        #expect(server.nextDeadline == nil)
        client.write("a\n")
        server.serve(client, at: at(10))
        #expect(server.nextDeadline == nil)
        server.evictStalled(at: at(1_000_000_000))
        #expect(server.isOpen(client))
    }

    @Test(
        "a blank line after a request begins no other one",
        arguments: [
            ["a\n\n"], ["a\n", "\n"], ["\n"], ["\n\n", "\n"], ["a\n\nb\n\n\n"], ["a", "\n\n"],
        ])
    func blankLines(pieces: [String]) throws {
        let server = try LineServer()
        let client = try server.connect()
        for piece in pieces {
            client.write(piece)
            server.serve(client, at: at(10))
        }
        #expect(server.nextDeadline == nil)
        server.evictStalled(at: at(1_000_000_000))
        #expect(server.isOpen(client))
        client.write("\nincomplete")
        server.serve(client, at: at(1_000_000_000))
        #expect(server.nextDeadline == at(1_000_015_000))
    }

    @Test("a client that pauses for 15 s in a request is closed")
    func pause() throws {
        let server = try LineServer()
        let client = try server.connect()
        client.write("incomplete")
        server.serve(client, at: at(1000))
        #expect(server.nextDeadline == at(16_000))
        server.evictStalled(at: at(15_999))
        #expect(server.isOpen(client))
        server.evictStalled(at: at(16_000))
        #expect(!server.isOpen(client))
    }

    @Test("a request takes at most 300 s however active the client is")
    func duration() throws {
        let server = try LineServer()
        let client = try server.connect()
        for second in UInt64(0)..<30 {
            client.write("x")
            server.serve(client, at: at(second * 10_000))
            server.evictStalled(at: at(second * 10_000))
        }
        #expect(server.isOpen(client))
        #expect(server.nextDeadline == at(300_000))
        server.evictStalled(at: at(300_000))
        #expect(!server.isOpen(client))
    }

    @Test("a client that does not read its answer is closed after 15 s")
    func unreadAnswerDeadline() throws {
        let server = try LineServer()
        let client = try server.connect()
        client.write("a\n")
        server.serve(client, at: at(1000)) { _ in Self.large }
        #expect(server.nextDeadline == at(16_000))
        _ = client.read(atMost: 1 << 18)
        server.resume(client.id, at: at(9000))
        #expect(server.nextDeadline == at(24_000))
        server.evictStalled(at: at(24_000))
        #expect(!server.isOpen(client))
    }

    @Test("reading the answer ends the deadline")
    func readAnswer() throws {
        let server = try LineServer()
        let client = try server.connect()
        client.write("a\n")
        server.serve(client, at: at(1000)) { _ in Self.large }
        #expect(drain(client, of: server, at: at(2000)) == Self.large.count)
        #expect(server.nextDeadline == nil)
    }

    @Test("the start of the next request has a deadline of its own")
    func nextRequest() throws {
        let server = try LineServer()
        let client = try server.connect()
        client.write("a\nincompl")
        #expect(server.serve(client, at: at(5000)) == ["a"])
        #expect(server.nextDeadline == at(20_000))
    }
}
