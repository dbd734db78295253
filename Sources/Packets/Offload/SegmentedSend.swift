/// A segmented send: datagrams that are contiguous in a buffer and leave in one `sendmsg` with
/// `UDP_SEGMENT`. All have the same size, except that the last may be shorter.
///
///     [ segmentSize ][ segmentSize ][ segmentSize ][ shorter ]
///     ^ offset                                               ^ offset + length
///
/// Start with the first datagram, and add others until `extend` returns false. The datagram that was refused
/// starts the next send.
package struct SegmentedSend: Equatable, Sendable {
    /// The offset of the first datagram in bytes.
    package let offset: Int
    /// The size of each datagram in bytes; the last may be shorter.
    package let segmentSize: Int
    /// The length of all datagrams in bytes.
    package private(set) var length: Int
    /// The number of datagrams. A single one is sent without `UDP_SEGMENT`.
    package private(set) var count: Int

    /// Makes a send of one datagram.
    package init(offset: Int, length: Int) {
        self.offset = offset
        segmentSize = length
        self.length = length
        count = 1
    }

    /// Adds a datagram, unless it is not adjacent in memory, is longer than the first, follows a shorter
    /// one, or exceeds the limits.
    ///
    /// - Returns: whether the datagram was added.
    package mutating func extend(offset: Int, length: Int, limits: Limits) -> Bool {
        guard count < limits.segments, offset == self.offset &+ self.length,
            length > 0, length <= segmentSize, isLastFullSize,
            self.length &+ length <= limits.bytes
        else { return false }
        self.length &+= length
        count &+= 1
        return true
    }

    /// Whether the last datagram has the full size.
    private var isLastFullSize: Bool {
        length == count &* segmentSize
    }

    /// The limits of one send.
    package struct Limits: Equatable, Sendable {
        /// The maximum number of datagrams.
        package var segments: Int
        /// The maximum length of all datagrams in bytes.
        package var bytes: Int

        /// Makes custom limits.
        @inlinable
        package init(segments: Int, bytes: Int) {
            self.segments = segments
            self.bytes = bytes
        }

        /// Linux, IPv4: `UDP_MAX_SEGMENTS` of old kernels.
        @inlinable package static var v4: Limits {
            Limits(segments: 64, bytes: UDPPayload.maximumIPv4)
        }
        /// Linux, IPv6.
        @inlinable package static var v6: Limits {
            Limits(segments: 64, bytes: UDPPayload.maximumIPv6)
        }
    }
}

/// The datagrams of one receive with `UDP_GRO`.
package struct DatagramSegments: Equatable, Sendable {
    /// The length of all datagrams in bytes.
    package let length: Int
    /// The size of each datagram in bytes; the last may be shorter.
    package let segmentSize: Int
    /// The number of datagrams, at least one, because a datagram may be empty.
    package let count: Int

    /// Splits `length` bytes into datagrams of `segmentSize`, which the kernel reports with the data. An
    /// unusable size (0, or not less than `length`) means one datagram.
    package init(length: Int, segmentSize: Int) {
        self.length = max(0, length)
        let isSplit = segmentSize > 0 && segmentSize < self.length
        self.segmentSize = isSplit ? segmentSize : self.length
        count = isSplit ? (self.length &- 1) / segmentSize &+ 1 : 1
    }

    /// The range of datagram `index` in the buffer.
    package subscript(index: Int) -> Range<Int> {
        precondition(index >= 0 && index < count)
        let start = index &* segmentSize
        return start..<min(length, start &+ segmentSize)
    }
}
