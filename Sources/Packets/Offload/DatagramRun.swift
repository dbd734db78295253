/// Datagrams that lie one behind the other in a buffer and leave in one `sendmsg` with
/// `UDP_SEGMENT`: all of one size, except that the last may be shorter.
///
///     [ segmentSize ][ segmentSize ][ segmentSize ][ shorter ]
///     ^ offset                                               ^ offset + length
///
/// Start a run with its first datagram and extend it until it refuses; what was refused starts the
/// next run.
package struct DatagramRun: Equatable, Sendable {
    /// Where the first datagram starts, in bytes.
    package let offset: Int
    /// The bytes of each datagram but perhaps the last.
    package let segmentSize: Int
    /// The bytes of all datagrams.
    package private(set) var length: Int
    /// The number of datagrams. A run of one is sent without `UDP_SEGMENT`.
    package private(set) var count: Int

    /// A run of one datagram.
    package init(offset: Int, length: Int) {
        self.offset = offset
        segmentSize = length
        self.length = length
        count = 1
    }

    /// Takes a datagram into the run, unless it does not follow in memory, is too long, or comes
    /// behind a shorter one, or the run is full.
    ///
    /// - Returns: whether the datagram is part of the run now.
    package mutating func extend(offset: Int, length: Int, limits: Limits) -> Bool {
        guard count < limits.segments, offset == self.offset &+ self.length,
            length > 0, length <= segmentSize, isOpen,
            self.length &+ length <= limits.bytes
        else { return false }
        self.length &+= length
        count &+= 1
        return true
    }

    /// Whether the last datagram has the full size.
    private var isOpen: Bool {
        length == count &* segmentSize
    }

    /// What one send takes.
    package struct Limits: Equatable, Sendable {
        /// The most datagrams.
        package var segments: Int
        /// The most bytes.
        package var bytes: Int

        /// Limits of other than the kernel's size.
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

/// A buffer that `UDP_GRO` filled, as the datagrams that it holds.
package struct DatagramSegments: Equatable, Sendable {
    /// The bytes of all datagrams.
    package let length: Int
    /// The bytes of each datagram but perhaps the last.
    package let segmentSize: Int
    /// The number of datagrams, at least one: a datagram may be empty.
    package let count: Int

    /// Splits `length` bytes into datagrams of `segmentSize`, which the kernel reports beside the
    /// data. Without a usable size (0, or not below `length`) it is one datagram.
    package init(length: Int, segmentSize: Int) {
        self.length = max(0, length)
        let isSplit = segmentSize > 0 && segmentSize < self.length
        self.segmentSize = isSplit ? segmentSize : self.length
        count = isSplit ? (self.length &- 1) / segmentSize &+ 1 : 1
    }

    /// The bytes of datagram `index`, from the start of the buffer.
    package subscript(index: Int) -> Range<Int> {
        precondition(index >= 0 && index < count)
        let start = index &* segmentSize
        return start..<min(length, start &+ segmentSize)
    }
}
