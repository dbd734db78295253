/// What became of the messages of a `SendBatch`.
package struct SendOutcome: Sendable {
    /// How many messages were sent, some of them otherwise than asked for (see below).
    package internal(set) var sent = 0
    /// How many messages were lost.
    package internal(set) var dropped = 0
    /// The errno of the last loss, of a message or of a part of one that left as single datagrams; 0
    /// if there was none. EAGAIN means that the socket stayed full.
    package internal(set) var lastError: Int32 = 0
    /// The first message that was refused as a run and has left as single datagrams, and the errno.
    ///
    /// EIO and EINVAL come from a device that cannot do it: stop asking for segments. EMSGSIZE comes
    /// from a path on which a datagram needs fragments: stop asking for this remote.
    package internal(set) var segmentationFailure: (index: Int, code: Int32)?
    /// A bit for each message whose source was refused and that has left without: clear the cached
    /// source of its peer.
    package internal(set) var staleSources: UInt128 = 0

    /// Whether the source of message `index` was refused.
    package func isSourceStale(_ index: Int) -> Bool {
        staleSources & (1 << UInt128(index)) != 0
    }

    mutating func drop(_ code: Int32) {
        dropped += 1
        lastError = code
    }
}
