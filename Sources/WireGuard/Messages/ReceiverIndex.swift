/// A random number that identifies a handshake or a keypair to the host that chose it (§5.4).
public struct ReceiverIndex: Hashable, Sendable, BitwiseCopyable {
    /// The index as it appears in messages.
    public let rawValue: UInt32

    /// Creates an index from its value in a message.
    @inlinable
    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }
}
