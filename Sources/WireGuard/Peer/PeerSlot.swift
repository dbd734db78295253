/// The index of a peer in the tables of its device.
///
/// Slots are dense, start at 0 and are reused after a peer is removed.
public struct PeerSlot: Hashable, Sendable, BitwiseCopyable {
    /// The index.
    public let rawValue: UInt32

    /// Creates a slot from its index.
    @inlinable
    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }
}
