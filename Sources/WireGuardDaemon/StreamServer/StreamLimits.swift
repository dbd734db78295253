import WireGuard

/// How many clients a stream server keeps, and for how long.
struct StreamLimits: Sendable {
    /// The maximum number of clients. One more evicts the client that was idle longest.
    var clients = 256
    /// How long a client may pause in the middle of a request or an answer.
    var pause = Interval.seconds(15)
    /// How long a request and its answer may take in total.
    var duration = Interval.seconds(300)
    /// The maximum number of bytes per read.
    var readByteCount = 64 << 10
}
