import Glibc

/// What became of the messages of a `SendBatch`.
package struct SendOutcome: Sendable {
    /// How many messages were sent, some of them otherwise than asked for (see below), or in part.
    package internal(set) var sent = 0
    /// How many datagrams were lost: all of a message, or those of a run that did not leave.
    package internal(set) var dropped = 0
    /// The errno of the last loss, of a message or of a part of one that left as single datagrams; 0
    /// if there was none. EAGAIN means that the socket stayed full.
    package internal(set) var lastError: Int32 = 0
    /// The first message that was refused as a run and has left as single datagrams.
    package internal(set) var segmentationFailure: SegmentationFailure?
    /// A bit for each message whose source was refused and that has left without: clear the cached
    /// source of its peer.
    package internal(set) var staleSources: UInt128 = 0

    /// Whether the source of message `index` was refused.
    package func isSourceStale(_ index: Int) -> Bool {
        staleSources & (1 << UInt128(index)) != 0
    }

    mutating func drop(_ datagrams: Int, _ code: Int32) {
        dropped += datagrams
        lastError = code
    }
}

/// A run of datagrams that the kernel refused as one message and took one by one.
package struct SegmentationFailure: Equatable, Sendable {
    /// Which message of the batch it was.
    package let index: Int
    /// The errno.
    package let code: Int32

    /// Whether it tells of the remote's path alone, on which a datagram needs fragments: EMSGSIZE, and
    /// from older kernels EINVAL. Anything else (EIO, EOPNOTSUPP) comes from a device that cannot do it,
    /// for whomever.
    package var isOfPath: Bool { code == EMSGSIZE || code == EINVAL }
}
