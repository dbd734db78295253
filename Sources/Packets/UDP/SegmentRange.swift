/// Where one send or receive lies in a buffer: a single datagram, or the segments of a segmented
/// send (`UDP_SEGMENT`) or a joined receive (`UDP_GRO`), one after the other.
package struct SegmentRange: Hashable, BitwiseCopyable, Sendable {
    /// The offset of the first byte.
    package var offset: Int
    /// The total length in bytes.
    package var length: Int
    /// The length of each segment, in bytes. Only the last may be shorter. 0 for a single datagram.
    package var segmentSize: Int

    /// Creates a range.
    @inlinable
    package init(offset: Int = 0, length: Int = 0, segmentSize: Int = 0) {
        self.offset = offset
        self.length = length
        self.segmentSize = segmentSize
    }

    /// The number of datagrams.
    package var datagramCount: Int {
        segmentSize > 0 && length > 0 ? (length - 1) / segmentSize + 1 : 1
    }
}
