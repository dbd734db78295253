extension FlowCoalescer {
    /// What identifies a flow: addresses, ports, protocol and version.
    struct FlowKey: Equatable, BitwiseCopyable, Sendable {
        /// The IPv6 addresses; for IPv4, both addresses are in the first word of the source.
        var source: (UInt64, UInt64) = (0, 0)
        var destination: (UInt64, UInt64) = (0, 0)
        /// The version, the protocol and both ports.
        var ports: UInt64 = 0

        @inline(__always)
        static func == (one: FlowKey, other: FlowKey) -> Bool {
            one.addressDifference(other) | (one.ports ^ other.ports) == 0
        }

        func hasAddresses(of other: FlowKey) -> Bool {
            addressDifference(other) | (ports ^ other.ports) >> 40 == 0
        }

        // Without branches, because keys are compared for every packet and usually equal.
        @inline(__always)
        private func addressDifference(_ other: FlowKey) -> UInt64 {
            (source.0 ^ other.source.0) | (source.1 ^ other.source.1)
                | (destination.0 ^ other.destination.0) | (destination.1 ^ other.destination.1)
        }
    }

    /// How the coalescer treats a packet.
    enum Role: Sendable {
        /// The packet may be joined with others of its flow.
        case segment
        /// The packet belongs to a flow but cannot be joined: no payload, SYN, FIN and so on. Only the key is
        /// set.
        case loner
        /// The packet may belong to any flow between its addresses: a fragment, or IP options. Only the
        /// addresses are set.
        case stranger
        /// The packet is not of a protocol to join. Nothing is set.
        case outsider
    }

    /// The fields of a packet that the coalescer needs, parsed once.
    struct Segment: BitwiseCopyable, Sendable {
        var role = Role.outsider
        var key = FlowKey()
        /// The offset of the packet in the buffer.
        var offset = 0
        /// The offset of the transport header in the packet.
        var transport = 0
        var headerLength = 0
        var payloadLength = 0
        /// Fields that must be equal in all packets of a write: traffic class, TTL, DF, IPv6 flow label, and
        /// the length of the TCP header.
        var constants: UInt64 = 0
        /// More of these fields: acknowledgment, window, urgent pointer.
        var acknowledgment: UInt64 = 0
        /// The sequence number; TCP only.
        var sequence: UInt32 = 0
        /// The identification; IPv4 only.
        var identification: UInt16 = 0
        /// Whether the identification has no meaning: DF is set, or the packet is IPv6.
        var isAtomic = false
        var isTCP = false
        var isPushed = false

        var nextSequence: UInt32 {
            isTCP ? sequence &+ UInt32(truncatingIfNeeded: payloadLength) : 0
        }

        init() {}

        /// Parses the untrusted packet at `offset`. Its range must lie in `buffer`.
        @inline(__always)
        init(_ buffer: RawSpan, at offset: Int, length: Int, coalescing: Coalescing) {
            self.offset = offset
            guard length >= IPHeader.shortestLength4 else { return }
            switch buffer.byte(at: offset) >> 4 {
            case IPVersion.v4.rawValue:
                readIPv4(buffer, length: length, coalescing: coalescing)
            case IPVersion.v6.rawValue where length >= IPHeader.length6:
                readIPv6(buffer, length: length, coalescing: coalescing)
            default:
                return
            }
        }

        @inline(__always)
        private mutating func readIPv4(_ buffer: RawSpan, length: Int, coalescing: Coalescing) {
            let number = buffer.byte(at: offset &+ 9)
            guard coalescing.includes(number) else { return }
            transport = IPHeader.shortestLength4
            key.source.0 = buffer.loadNative(at: offset &+ 12, as: UInt64.self)
            key.ports = 4 << 40

            let first = buffer.loadBigEndian(at: offset, as: UInt64.self)
            // Checks version and header length, total length, the reserved bit, MF and fragment offset.
            guard first >> 56 == 0x45, (first >> 32) & 0xFFFF == UInt64(length),
                first & 0xBFFF == 0
            else {
                role = .stranger
                return
            }
            identification = UInt16(truncatingIfNeeded: first >> 16)
            isAtomic = first & 0x4000 != 0
            // TOS, DF, TTL.
            constants =
                (first >> 48 & 0xFF) << 32 | (first & 0xFFFF) << 16
                | UInt64(buffer.byte(at: offset &+ 8))
            readTransport(buffer, length: length, number: number)
        }

        @inline(__always)
        private mutating func readIPv6(_ buffer: RawSpan, length: Int, coalescing: Coalescing) {
            let number = buffer.byte(at: offset &+ 6)
            let isExtension = IPv6Transport.isExtensionHeader(IPProtocol(rawValue: number))
            guard coalescing.includes(number) || isExtension else { return }
            transport = IPHeader.length6
            key.source.0 = buffer.loadNative(at: offset &+ 8, as: UInt64.self)
            key.source.1 = buffer.loadNative(at: offset &+ 16, as: UInt64.self)
            key.destination.0 = buffer.loadNative(at: offset &+ 24, as: UInt64.self)
            key.destination.1 = buffer.loadNative(at: offset &+ 32, as: UInt64.self)
            key.ports = 6 << 40

            let payload = Int(buffer.loadBigEndian(at: offset &+ 4, as: UInt16.self))
            guard !isExtension, IPHeader.length6 &+ payload == length else {
                role = .stranger
                return
            }
            isAtomic = true
            // Traffic class and flow label, hop limit.
            constants =
                UInt64(buffer.loadBigEndian(at: offset, as: UInt32.self)) << 16
                | UInt64(buffer.byte(at: offset &+ 7))
            readTransport(buffer, length: length, number: number)
        }

        @inline(__always)
        private mutating func readTransport(_ buffer: RawSpan, length: Int, number: UInt8) {
            let at = offset &+ transport
            isTCP = number == IPProtocol.tcp.rawValue
            guard length >= transport &+ (isTCP ? 20 : 8) else {
                role = .stranger
                return
            }
            key.ports |=
                UInt64(number) << 32 | UInt64(buffer.loadNative(at: at, as: UInt32.self))
            role = .loner
            if isTCP {
                readTCP(buffer, at: at, length: length)
            } else {
                readUDP(buffer, at: at, length: length)
            }
        }

        @inline(__always)
        private mutating func readTCP(_ buffer: RawSpan, at: Int, length: Int) {
            // Data offset and reserved bits, flags, window; acknowledgment before them.
            let middle = buffer.loadBigEndian(at: at &+ 8, as: UInt64.self)
            let offsetAndFlags = UInt16(truncatingIfNeeded: middle >> 16)
            let transportLength = Int(offsetAndFlags >> 12) &* 4
            headerLength = transport &+ transportLength
            payloadLength = length &- headerLength
            // Only ACK and optionally PSH may be set, no reserved bit, and there must be a payload.
            guard transportLength >= 20, payloadLength > 0, offsetAndFlags & 0x0FF7 == 0x0010 else {
                return
            }
            isPushed = offsetAndFlags & 0x0008 != 0
            sequence = buffer.loadBigEndian(at: at &+ 4, as: UInt32.self)
            let urgent = buffer.loadBigEndian(at: at &+ 18, as: UInt16.self)
            acknowledgment = (middle & ~0xFFFF_0000) | UInt64(urgent) << 16
            constants |= UInt64(transportLength) << 56
            role = .segment
        }

        @inline(__always)
        private mutating func readUDP(_ buffer: RawSpan, at: Int, length: Int) {
            headerLength = transport &+ 8
            payloadLength = length &- headerLength
            let lengthAndChecksum = buffer.loadBigEndian(at: at &+ 4, as: UInt32.self)
            // RFC 768: a checksum of zero means none, but segments of a super-packet would have one.
            guard payloadLength > 0, Int(lengthAndChecksum >> 16) == length &- transport,
                lengthAndChecksum & 0xFFFF != 0
            else { return }
            role = .segment
        }

        /// Whether the header checksum and the transport checksum are correct. UDP packets without a
        /// checksum are not segments.
        func hasCorrectChecksums(in buffer: RawSpan) -> Bool {
            var sum = InternetChecksum()
            if transport == IPHeader.shortestLength4 {
                let addresses = buffer.loadNative(at: offset &+ 12, as: UInt64.self)
                var header = InternetChecksum()
                header.add(memoryOrder: buffer.loadNative(at: offset, as: UInt64.self))
                header.add(buffer.loadBigEndian(at: offset &+ 8, as: UInt32.self))
                header.add(memoryOrder: addresses)
                guard header.isCorrect else { return false }
                sum.add(memoryOrder: addresses)
            } else {
                sum.add(buffer, from: offset &+ 8, count: 32)
            }
            let length = headerLength &+ payloadLength &- transport
            sum.add(UInt16((isTCP ? IPProtocol.tcp : .udp).rawValue))
            sum.add(UInt16(truncatingIfNeeded: length))
            sum.add(buffer, from: offset &+ transport, count: length)
            return sum.isCorrect
        }
    }
}

extension FlowCoalescer.Coalescing {
    /// Whether to join packets of protocol `number`.
    @inline(__always)
    fileprivate func includes(_ number: UInt8) -> Bool {
        switch number {
        case IPProtocol.tcp.rawValue: contains(.tcp)
        case IPProtocol.udp.rawValue: contains(.udp)
        default: false
        }
    }
}
