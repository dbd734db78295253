/// The number of a peer in the table of its device.
///
/// Numbers are dense, given from 0 on and given again after a removal: tables are indexed by them.
public struct PeerSlot: Hashable, Sendable, BitwiseCopyable {
    /// The number.
    public let rawValue: UInt32

    /// Makes a slot from its number.
    @inlinable
    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }
}
