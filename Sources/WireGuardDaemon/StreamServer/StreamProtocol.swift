import Packets

/// How requests are read from a stream: HTTP, UAPI or any other protocol of requests and answers.
struct StreamProtocol<Parser: ~Copyable, Request: ~Copyable>: Sendable {
    /// Makes the parser of a new connection.
    let makeParser: @Sendable () -> Parser
    /// Reads on from an offset and moves it past the bytes that were read.
    ///
    /// Returns a complete request, or nil when all bytes were read without completing one.
    let parse: @Sendable (inout Parser, RawSpan, inout Int) -> Request?
    /// Whether the bytes after the last request begin no other one, such as blank lines.
    let isBetweenRequests: @Sendable (borrowing Parser) -> Bool
}

/// The bytes of an answer. They may contain secrets; the value wipes them when it ends.
protocol StreamAnswer: ~Copyable {
    /// The bytes to send.
    var bytes: RawSpan { @_lifetime(borrow self) get }
    /// The length of `bytes`.
    var byteCount: Int { get }
}
