import LinuxIO
import Packets
import WireGuard

/// The configuration socket: accepts clients, reads their dialogues and writes the answers, all
/// without waiting for anybody. A client that stalls delays nobody, and is put out after a while.
struct UAPIServer: ~Copyable {
    let listener: UnixListener
    private var clients: [Int: Client] = [:]
    private var nextNumber = 0
    private var readBuffer = PacketBuffer(byteCount: 64 << 10)

    /// More clients at once are put out, the one that was silent longest first.
    private static let maximumClients = 256
    /// How long a dialogue may pause.
    private static let patience = Interval.seconds(15)
    /// How long a dialogue may take in all.
    private static let maximumDuration = Interval.seconds(300)

    /// What follows an answer.
    enum Sequel {
        case goOn
        /// The client sends nonsense: it is put out once it has its answer.
        case close
    }

    init(listener: consuming UnixListener) {
        self.listener = listener
    }

    /// One connection. A class, since it holds a descriptor and lives in a dictionary.
    final class Client {
        let number: Int
        let connection: UnixConnection
        var parser = UAPIParser()
        /// The answer, of which `sent` bytes are gone.
        var answer = UAPIWriter()
        var sent = 0
        var isWriting = false
        var closesAfterAnswer = false
        var lastActive: Instant
        var dialogueStart: Instant?

        init(number: Int, connection: consuming UnixConnection, now: Instant) {
            self.number = number
            self.connection = connection
            lastActive = now
        }
    }

    /// Takes a client that waits, nil if there is none; its number is the token to be registered.
    mutating func accept(now: Instant) -> Client? {
        let connection: UnixConnection
        do throws(SystemError) {
            guard let accepted = try listener.accept() else { return nil }
            connection = accepted
        } catch {
            // Too many open files: room for whoever waits, instead of asking again and again.
            closeOldest()
            return nil
        }
        if clients.count >= Self.maximumClients { closeOldest() }
        nextNumber += 1
        let client = Client(number: nextNumber, connection: connection, now: now)
        clients[client.number] = client
        return client
    }

    private mutating func closeOldest() {
        let oldest = clients.values.min { $0.lastActive < $1.lastActive }
        if let oldest { clients[oldest.number] = nil }
    }

    /// The client with this number, nil if it is gone.
    func client(_ number: Int) -> Client? {
        clients[number]
    }

    /// Ends a connection.
    mutating func close(_ number: Int) {
        clients[number] = nil
    }

    /// Reads what a client sent and hands each complete dialogue to `answer`, which writes to the
    /// client's answer.
    mutating func read(
        _ client: Client, now: Instant,
        answer: (consuming UAPIRequest, inout UAPIWriter) -> Sequel
    ) {
        // An answer that nobody reads must not grow: first it, then more questions.
        guard client.answer.byteCount == 0 else { return }
        var bytes = readBuffer.mutableBytes
        switch client.connection.read(into: &bytes, count: bytes.byteCount) {
        case .wouldBlock: return
        case .closed, .failed: return close(client.number)
        case .bytes(let count):
            client.lastActive = now
            if client.dialogueStart == nil { client.dialogueStart = now }
            var offset = 0
            while let request = client.parser.read(
                bytes.bytes.extracting(0..<count), from: &offset,
                resolveScope: { InterfaceName($0)?.index.nonZero })
            {
                client.dialogueStart = offset < count ? now : nil
                if answer(request, &client.answer) == .close {
                    client.closesAfterAnswer = true
                    break
                }
            }
            // It may have held keys.
            bytes.zero(0..<count)
        }
        write(client, now: now)
    }

    /// Sends as much of the answer as the client takes.
    mutating func write(_ client: Client, now: Instant) {
        while client.sent < client.answer.byteCount {
            let rest = client.sent..<client.answer.byteCount
            switch client.connection.write(client.answer.bytes.extracting(rest)) {
            case .bytes(let count):
                client.sent += count
                client.lastActive = now
            case .wouldBlock:
                client.isWriting = true
                return
            case .closed, .failed:
                return close(client.number)
            }
        }
        client.isWriting = false
        client.sent = 0
        client.answer.removeAll()
        if client.closesAfterAnswer { close(client.number) }
    }

    /// Puts out the clients that stopped in the middle of a dialogue or do not read their answer.
    mutating func putOutStalled(now: Instant) {
        for client in clients.values where Self.deadline(of: client).map({ $0 <= now }) == true {
            clients[client.number] = nil
        }
    }

    /// When ``putOutStalled(now:)`` has something to do, nil for never.
    var nextDeadline: Instant? {
        clients.values.compactMap(Self.deadline).min()
    }

    private static func deadline(of client: Client) -> Instant? {
        // Between two dialogues a client may be silent as long as it likes.
        guard client.dialogueStart != nil || client.isWriting else { return nil }
        let pause = client.lastActive + patience
        guard let start = client.dialogueStart else { return pause }
        return min(pause, start + maximumDuration)
    }
}

extension UInt32 {
    fileprivate var nonZero: UInt32? { self == 0 ? nil : self }
}
