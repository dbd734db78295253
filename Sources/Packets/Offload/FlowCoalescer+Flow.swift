extension FlowCoalescer {
    /// The end of a flow's latest write, as far as it decides whether the next packet joins it.
    struct Flow: BitwiseCopyable, Sendable {
        /// The first packet of the write.
        var first = Segment()
        var write = 0
        var count = 0
        var length = 0
        /// Whether anything may still join.
        var isOpen = false
        /// Whether the first packet's checksums were looked at.
        var isVerified = false
        var nextSequence: UInt32 = 0
        var lastIdentification: UInt16 = 0
        /// By how much the identification grows from packet to packet: 1, or 0.
        var step: UInt16 = 0

        init() {}

        init(_ segment: Segment, write: Int) {
            first = segment
            self.write = write
            count = 1
            length = segment.headerLength &+ segment.payloadLength
            isOpen = !segment.isPushed
            nextSequence = segment.nextSequence
            lastIdentification = segment.identification
        }

        /// Whether `segment` continues the write, as far as the fixed headers tell.
        @inline(__always)
        func accepts(_ segment: Segment) -> Bool {
            isOpen && segment.constants == first.constants
                && segment.acknowledgment == first.acknowledgment
                && segment.sequence == nextSequence
                && segment.payloadLength <= first.payloadLength
                && length &+ segment.payloadLength <= Self.maximumLength
                && count < (segment.isTCP ? Self.maximumPieces : Self.maximumDatagrams)
                && acceptsIdentification(of: segment)
        }

        /// Cutting raises the identification by one from packet to packet. Without DF it must have
        /// been so; with DF it may also stand still, for then it means nothing (RFC 6864, section
        /// 4.1): other systems send zero. The kernel's GRO has the same rule.
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
            isOpen = segment.payloadLength == first.payloadLength && !segment.isPushed
        }

        /// The most bytes of an IP packet.
        private static let maximumLength = 65_535
        /// Below `UIO_MAXIOV`, so that a header of its own finds room.
        private static let maximumPieces = 1000
        /// `UDP_MAX_SEGMENTS` of old kernels.
        private static let maximumDatagrams = 64
    }
}
