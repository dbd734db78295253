extension FlowCoalescer {
    /// A flow: the state of its latest write that decides whether the next packet can join it.
    struct Flow: BitwiseCopyable, Sendable {
        /// The first packet of the write.
        var first = Segment()
        var write = 0
        var count = 0
        var length = 0
        /// Whether another packet may join the write.
        var canGrow = false
        /// Whether the checksums of the first packet were verified.
        var isVerified = false
        var nextSequence: UInt32 = 0
        var lastIdentification: UInt16 = 0
        /// The difference between the identifications of consecutive packets: 1 or 0.
        var step: UInt16 = 0

        init() {}

        init(_ segment: Segment, write: Int) {
            first = segment
            self.write = write
            count = 1
            length = segment.headerLength &+ segment.payloadLength
            canGrow = !segment.isPushed
            nextSequence = segment.nextSequence
            lastIdentification = segment.identification
        }

        /// Whether `segment` continues the write, according to the fixed headers.
        @inline(__always)
        func accepts(_ segment: Segment) -> Bool {
            canGrow && segment.constants == first.constants
                && segment.acknowledgment == first.acknowledgment
                && segment.sequence == nextSequence
                && segment.payloadLength <= first.payloadLength
                && length &+ segment.payloadLength <= Self.maximumLength
                && count < (segment.isTCP ? Self.maximumPieces : Self.maximumDatagrams)
                && acceptsIdentification(of: segment)
        }

        /// Segmentation increases the identification by one per packet, so it must increase by one here
        /// too. With DF it may also be constant, because then it has no meaning (RFC 6864, section 4.1) and
        /// other systems send zero. The kernel's GRO has the same rule.
        @inline(__always)
        private func acceptsIdentification(of segment: Segment) -> Bool {
            let step = segment.identification &- lastIdentification
            return count == 1 ? step == 1 || step == 0 && first.isAtomic : step == self.step
        }

        @inline(__always)
        mutating func advance(over segment: Segment) {
            step = segment.identification &- lastIdentification
            lastIdentification = segment.identification
            nextSequence = segment.nextSequence
            count &+= 1
            length &+= segment.payloadLength
            canGrow = segment.payloadLength == first.payloadLength && !segment.isPushed
        }

        /// The maximum length of an IP packet in bytes.
        private static let maximumLength = 65_535
        /// Less than `UIO_MAXIOV`, to leave room for a header.
        private static let maximumPieces = 1000
        /// `UDP_MAX_SEGMENTS` of old kernels.
        private static let maximumDatagrams = 64
    }
}
