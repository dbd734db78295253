import LinuxIO
import Packets
import WireGuard

/// Identifies a client of a stream server. Numbers are never reused.
struct StreamClientID: Hashable, Sendable {
    let rawValue: UInt64
}

/// One connection of a stream server.
///
/// A class, because it owns a descriptor and lives in a dictionary.
final class StreamClient<Parser: ~Copyable, Answer: StreamAnswer & ~Copyable> {
    /// What the client does next.
    enum Phase {
        /// Send a request.
        case requesting
        /// Wait: its request was handed to the caller.
        case awaitingAnswer
        /// Read the rest of its answer.
        case receiving
    }

    let id: StreamClientID
    let connection: UnixConnection
    var phase = Phase.requesting
    /// What the caller last registered the descriptor for.
    var registeredInterest = Epoll.Interest.readable
    var parser: Parser
    /// Received bytes; the first `parsed` are already parsed. Requests wait here while the client has an
    /// answer to read, so that unread answers cannot pile up.
    var input = WipedText()
    var parsed = 0
    /// The answer; its first `sent` bytes are sent.
    var answer: Answer?
    var sent = 0
    var closesAfterAnswer = false
    /// When the client last sent or took a byte.
    var lastActive: ObservedInstant
    /// When the unfinished request or answer began; nil between requests.
    var exchangeStart: ObservedInstant?

    init(
        id: StreamClientID, connection: consuming UnixConnection, parser: consuming Parser,
        now: ObservedInstant
    ) {
        self.id = id
        self.connection = connection
        self.parser = parser
        lastActive = now
    }

    /// What to wait for on the connection. While the client has an answer to read, or none yet, its next
    /// requests stay in the kernel.
    var interest: Epoll.Interest {
        switch phase {
        case .requesting: .readable
        case .awaitingAnswer: []
        case .receiving: .writable
        }
    }

    /// When the client is evicted, unless it makes progress; nil between requests, where it may be idle
    /// without limit.
    func deadline(_ limits: StreamLimits) -> ObservedInstant? {
        guard let exchangeStart else { return nil }
        return min(lastActive + limits.pause, exchangeStart + limits.duration)
    }
}
