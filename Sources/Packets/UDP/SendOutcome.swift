/// The result of sending a batch of messages. A message is a datagram or a segmented send.
package struct SendOutcome: Sendable {
    /// The number of messages that were sent, including those that were sent differently than
    /// requested or only in part.
    package var sent = 0
    /// The number of datagrams that were lost.
    package var dropped = 0
    /// The errno of the last loss; 0 if there was none. EAGAIN: the socket stayed full.
    package var lastError: Int32 = 0
    /// The first message that was refused as a segmented send and sent as single datagrams.
    package var segmentationFailure: SegmentationFailure?
    /// One bit for each message whose source was refused and that was sent without it. The cached
    /// source of its peer must be cleared.
    package var staleSources: UInt128 = 0

    /// Creates the outcome of an empty batch.
    package init() {}

    /// Whether the source of message `index` (0 to 127) was refused.
    package func isSourceStale(_ index: Int) -> Bool {
        staleSources & (1 << UInt128(index)) != 0
    }

    /// Counts lost datagrams.
    package mutating func drop(_ datagrams: Int, _ code: Int32) {
        dropped += datagrams
        lastError = code
    }
}

/// A segmented send that the kernel refused and that was sent as single datagrams instead.
package struct SegmentationFailure: Equatable, Sendable {
    /// The index of the message in its batch.
    package let index: Int
    /// The errno.
    package let code: Int32
    /// Whether only the network path to this remote is affected: a segment exceeds its MTU. If not,
    /// the device cannot send segments to any remote.
    package let isOfPath: Bool

    /// Creates a failure.
    package init(index: Int, code: Int32, isOfPath: Bool) {
        self.index = index
        self.code = code
        self.isOfPath = isOfPath
    }
}
