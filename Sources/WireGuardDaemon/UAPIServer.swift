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
        /// What it sent and nobody has looked at: it has an answer to read first.
        var unread = WipedText()
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

    /// What becomes of a connection after a step.
    private enum Progress {
        /// The next question may be looked at.
        case goesOn
        /// It has to read its answer first.
        case waits
        case ends
    }

    /// Takes a client that waits, nil if there is none; its number is the token to be registered.
    mutating func accept(now: Instant) -> Client? {
        let connection: UnixConnection
        do throws(SystemError) {
            guard let accepted = try listener.accept() else { return nil }
            connection = accepted
        } catch {
            // Too many open files: room for whoever waits. Without a client of ours that is to be had
            // by nobody, and asking again at full speed would not help.
            if clients.isEmpty { Clock.pause(milliseconds: 10) } else { closeOldest() }
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

    /// Goes on with a client: sends what is left of an answer, reads what it sent, and hands each
    /// complete dialogue to `answer`, which writes to the client's answer.
    mutating func serve(
        _ client: Client, now: Instant,
        answer: (consuming UAPIRequest, inout UAPIWriter) -> Sequel
    ) {
        let progress: Progress =
            switch Self.send(client, now: now) {
            case .goesOn where client.unread.byteCount > 0:
                Self.answerUnread(of: client, now: now, answer)
            case .goesOn: read(client, now: now, answer)
            case .waits: .waits
            case .ends: .ends
            }
        client.isWriting = progress == .waits
        if progress == .ends { close(client.number) }
    }

    private mutating func read(
        _ client: Client, now: Instant,
        _ answer: (consuming UAPIRequest, inout UAPIWriter) -> Sequel
    ) -> Progress {
        var bytes = readBuffer.mutableBytes
        switch client.connection.read(into: &bytes, count: bytes.byteCount) {
        case .wouldBlock: return .goesOn
        case .closed, .failed: return .ends
        case .bytes(let count):
            client.lastActive = now
            if client.dialogueStart == nil { client.dialogueStart = now }
            let progress = Self.answer(
                bytes.bytes.extracting(0..<count), from: client, now: now, answer)
            // It may have held keys.
            bytes.zero(0..<count)
            return progress
        }
    }

    private static func answerUnread(
        of client: Client, now: Instant,
        _ answer: (consuming UAPIRequest, inout UAPIWriter) -> Sequel
    ) -> Progress {
        var unread = WipedText()
        swap(&unread, &client.unread)
        return Self.answer(unread.bytes, from: client, now: now, answer)
    }

    /// Answers the dialogues in `bytes`, each before the next is looked at: an answer that nobody
    /// reads must not grow.
    private static func answer(
        _ bytes: RawSpan, from client: Client, now: Instant,
        _ answer: (consuming UAPIRequest, inout UAPIWriter) -> Sequel
    ) -> Progress {
        var offset = 0
        while let request = client.parser.read(
            bytes, from: &offset, resolveScope: { InterfaceName($0)?.index.nonZero })
        {
            client.dialogueStart = offset < bytes.byteCount ? now : nil
            if answer(request, &client.answer) == .close { client.closesAfterAnswer = true }
            let progress = send(client, now: now)
            guard progress == .goesOn else {
                client.unread.append(bytes.extracting(offset..<bytes.byteCount))
                return progress
            }
        }
        return .goesOn
    }

    /// Sends as much of the answer as the client takes.
    private static func send(_ client: Client, now: Instant) -> Progress {
        while client.sent < client.answer.byteCount {
            let rest = client.sent..<client.answer.byteCount
            switch client.connection.write(client.answer.bytes.extracting(rest)) {
            case .bytes(let count):
                client.sent += count
                client.lastActive = now
            case .wouldBlock:
                // To read the answer is part of the dialogue, and of its time.
                if client.dialogueStart == nil { client.dialogueStart = now }
                return .waits
            case .closed, .failed:
                return .ends
            }
        }
        if client.isWriting, client.unread.byteCount == 0 { client.dialogueStart = nil }
        client.sent = 0
        client.answer.removeAll()
        return client.closesAfterAnswer ? .ends : .goesOn
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
        guard let start = client.dialogueStart else { return nil }
        return min(client.lastActive + patience, start + maximumDuration)
    }
}

extension UInt32 {
    fileprivate var nonZero: UInt32? { self == 0 ? nil : self }
}
