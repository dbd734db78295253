extension FlowCoalescer {
    /// Addresses, ports, protocol and version: what makes a flow.
    struct FlowKey: Equatable, BitwiseCopyable, Sendable {
        /// IPv4: both addresses in the first word.
        var addresses: SIMD4<UInt64> = .zero
        /// Version, protocol, both ports.
        var ports: UInt64 = 0

        func hasAddresses(of other: FlowKey) -> Bool {
            addresses == other.addresses && (ports ^ other.ports) >> 40 == 0
        }
    }

    /// What a packet is to the coalescer.
    enum Classified {
        /// It may be joined with its neighbours.
        case segment(Segment)
        /// It belongs to a flow, but goes alone: no payload, SYN, FIN and so on.
        case flow(FlowKey)
        /// It may belong to any flow between two addresses: a fragment, options.
        case unknownFlow(FlowKey)
        /// It is not TCP or UDP, or not to be joined at all.
        case noFlow
    }

    /// A packet that may be joined with others, parsed once.
    struct Segment: BitwiseCopyable, Sendable {
        var key = FlowKey()
        /// Where the packet starts in the buffer.
        var offset = 0
        /// Where the transport header starts, from the start of the packet.
        var transport = 0
        var headerLength = 0
        var payloadLength = 0
        /// What must be equal in all packets: of IP traffic class, TTL, DF, IPv6's flow label; the
        /// length of the TCP header.
        var constants: UInt64 = 0
        /// Likewise: acknowledgment, window, urgent pointer.
        var acknowledgment: UInt64 = 0
        /// TCP only.
        var sequence: UInt32 = 0
        /// IPv4 only.
        var identification: UInt16 = 0
        /// Whether the identification means nothing: DF is set, or it is IPv6.
        var isAtomic = false
        var isTCP = false
        var isPushed = false

        var nextSequence: UInt32 {
            isTCP ? sequence &+ UInt32(truncatingIfNeeded: payloadLength) : 0
        }

        /// Whether header and transport checksum are right. UDP's zero means none, and such packets
        /// are no segments.
        func hasCorrectChecksums(in buffer: RawSpan) -> Bool {
            var sum = InternetChecksum()
            if transport == IPHeader.shortestLength4 {
                var header = InternetChecksum()
                header.add(buffer, from: offset, count: IPHeader.shortestLength4)
                guard header.isCorrect else { return false }
                sum.add(buffer, from: offset &+ 12, count: 8)
            } else {
                sum.add(buffer, from: offset &+ 8, count: 32)
            }
            let length = headerLength &+ payloadLength &- transport
            sum.add(UInt16((isTCP ? IPProtocol.tcp : .udp).rawValue))
            sum.add(UInt16(truncatingIfNeeded: length))
            sum.add(buffer, from: offset &+ transport, count: length)
            return sum.isCorrect
        }

        /// Looks at the packet at `offset`, which may hold anything; its range lies in `buffer`.
        static func parse(
            _ buffer: RawSpan, at offset: Int, length: Int, coalescing: Coalescing
        ) -> Classified {
            guard length >= IPHeader.shortestLength4 else { return .noFlow }
            return switch buffer.byte(at: offset) >> 4 {
            case IPVersion.v4.rawValue:
                parse4(buffer, at: offset, length: length, coalescing: coalescing)
            case IPVersion.v6.rawValue where length >= IPHeader.length6:
                parse6(buffer, at: offset, length: length, coalescing: coalescing)
            default:
                .noFlow
            }
        }

        private static func parse4(
            _ buffer: RawSpan, at offset: Int, length: Int, coalescing: Coalescing
        ) -> Classified {
            let number = IPProtocol(rawValue: buffer.byte(at: offset &+ 9))
            guard coalescing.includes(number) else { return .noFlow }
            var segment = Segment()
            segment.offset = offset
            segment.transport = IPHeader.shortestLength4
            segment.key.addresses[0] = buffer.loadNative(at: offset &+ 12, as: UInt64.self)
            segment.key.ports = 4 << 40

            let first = buffer.loadBigEndian(at: offset, as: UInt64.self)
            // Version and header length, total length; reserved bit, MF and fragment offset.
            guard first >> 56 == 0x45, (first >> 32) & 0xFFFF == UInt64(length),
                first & 0xBFFF == 0
            else { return .unknownFlow(segment.key) }
            segment.identification = UInt16(truncatingIfNeeded: first >> 16)
            segment.isAtomic = first & 0x4000 != 0
            // TOS, DF, TTL.
            segment.constants =
                (first >> 48 & 0xFF) << 32 | (first & 0xFFFF) << 16
                | UInt64(buffer.byte(at: offset &+ 8))
            return segment.withTransport(buffer, length: length, number: number)
        }

        private static func parse6(
            _ buffer: RawSpan, at offset: Int, length: Int, coalescing: Coalescing
        ) -> Classified {
            let number = IPProtocol(rawValue: buffer.byte(at: offset &+ 6))
            let isExtension = IPv6Transport.isExtensionHeader(number)
            guard coalescing.includes(number) || isExtension else { return .noFlow }
            var segment = Segment()
            segment.offset = offset
            segment.transport = IPHeader.length6
            segment.key.addresses = SIMD4(
                buffer.loadNative(at: offset &+ 8, as: UInt64.self),
                buffer.loadNative(at: offset &+ 16, as: UInt64.self),
                buffer.loadNative(at: offset &+ 24, as: UInt64.self),
                buffer.loadNative(at: offset &+ 32, as: UInt64.self))
            segment.key.ports = 6 << 40

            let payload = Int(buffer.loadBigEndian(at: offset &+ 4, as: UInt16.self))
            guard !isExtension, IPHeader.length6 &+ payload == length else {
                return .unknownFlow(segment.key)
            }
            segment.isAtomic = true
            // Traffic class and flow label, hop limit.
            segment.constants =
                UInt64(buffer.loadBigEndian(at: offset, as: UInt32.self)) << 16
                | UInt64(buffer.byte(at: offset &+ 7))
            return segment.withTransport(buffer, length: length, number: number)
        }

        private consuming func withTransport(
            _ buffer: RawSpan, length: Int, number: IPProtocol
        ) -> Classified {
            let at = offset &+ transport
            let isTCP = number == .tcp
            let shortest = isTCP ? 20 : 8
            guard length >= transport &+ shortest else { return .unknownFlow(key) }
            let ports = UInt64(buffer.loadNative(at: at, as: UInt32.self))
            key.ports |= UInt64(number.rawValue) << 32 | ports
            self.isTCP = isTCP
            return isTCP ? tcp(buffer, at: at, length: length) : udp(buffer, at: at, length: length)
        }

        private consuming func tcp(_ buffer: RawSpan, at: Int, length: Int) -> Classified {
            // Data offset and reserved bits, flags, window; acknowledgment before them.
            let middle = buffer.loadBigEndian(at: at &+ 8, as: UInt64.self)
            let offsetAndFlags = UInt16(truncatingIfNeeded: middle >> 16)
            let transportLength = Int(offsetAndFlags >> 12) &* 4
            headerLength = transport &+ transportLength
            payloadLength = length &- headerLength
            // ACK and perhaps PSH, no reserved bit; a payload.
            guard transportLength >= 20, payloadLength > 0, offsetAndFlags & 0x0FF7 == 0x0010 else {
                return .flow(key)
            }
            isPushed = offsetAndFlags & 0x0008 != 0
            sequence = buffer.loadBigEndian(at: at &+ 4, as: UInt32.self)
            let urgent = buffer.loadBigEndian(at: at &+ 18, as: UInt16.self)
            acknowledgment = (middle & ~0xFFFF_0000) | UInt64(urgent) << 16
            constants |= UInt64(transportLength) << 56
            return .segment(self)
        }

        private consuming func udp(_ buffer: RawSpan, at: Int, length: Int) -> Classified {
            headerLength = transport &+ 8
            payloadLength = length &- headerLength
            let lengthAndChecksum = buffer.loadBigEndian(at: at &+ 4, as: UInt32.self)
            // RFC 768: a checksum of zero is none, which segments of a super-packet would get.
            guard payloadLength > 0, Int(lengthAndChecksum >> 16) == length &- transport,
                lengthAndChecksum & 0xFFFF != 0
            else { return .flow(key) }
            return .segment(self)
        }
    }
}

extension FlowCoalescer.Coalescing {
    /// Whether packets of protocol `number` are to be joined.
    fileprivate func includes(_ number: IPProtocol) -> Bool {
        switch number {
        case .tcp: contains(.tcp)
        case .udp: contains(.udp)
        default: false
        }
    }
}
