extension FlowCoalescer {
    /// The range of a packet in the receive buffer.
    struct Packet: BitwiseCopyable, Sendable {
        var offset = 0
        var length = 0
        /// The next packet of the same write; unspecified for the last one.
        var next = 0
    }

    /// Packets that one write passes to the TUN, with the headers of the first, adjusted for all payloads.
    struct Write: BitwiseCopyable, Sendable {
        var first = 0
        var last = 0
        var count = 1
        var firstPiece = 0
        var holdsInnerUDP = false
        /// The length of the super-packet without its virtio header. This and the properties below are set
        /// only for packets that may be joined.
        var length = 0
        var headerLength = 0
        var transport = 0
        var segmentSize = 0
        var isTCP = false
        /// Whether the last packet has PSH.
        var isPushed = false

        init() {}

        init(packet: Int) {
            first = packet
            last = packet
        }

        /// Changes the headers of the first packet, at `offset`, to those of the super-packet.
        func join(at offset: Int, in buffer: inout MutableRawSpan) {
            setLengths(total: length, at: offset, in: &buffer)
            if isPushed {
                let flags = offset &+ transport &+ 13
                buffer.store(byte: buffer.byte(at: flags) | Self.push, at: flags)
            }
            // The field holds the sum of the pseudo-header; the kernel adds the rest.
            let sum = pseudoHeader(total: length, at: offset, in: buffer.bytes)
            buffer.store(bigEndian: sum.folded, at: offset &+ transport &+ checksumField)
            virtioHeader.store(in: &buffer, at: offset &- VirtioNetHeader.byteCount)
        }

        /// Changes the headers of the super-packet, at `offset`, back to those of the first packet, which
        /// had `length` bytes.
        func restore(at offset: Int, length: Int, in buffer: inout MutableRawSpan) {
            setLengths(total: length, at: offset, in: &buffer)
            let start = offset &+ transport
            if isTCP {
                // A packet with PSH is the last of its write, so the first had none.
                buffer.store(byte: buffer.byte(at: start &+ 13) & ~Self.push, at: start &+ 13)
            }
            buffer.store(bigEndian: 0 as UInt16, at: start &+ checksumField)
            var sum = pseudoHeader(total: length, at: offset, in: buffer.bytes)
            sum.add(buffer.bytes, from: start, count: length &- transport)
            buffer.store(
                bigEndian: isTCP ? sum.checksum : sum.udpChecksum, at: start &+ checksumField)
        }

        private func setLengths(total: Int, at offset: Int, in buffer: inout MutableRawSpan) {
            let length = UInt16(truncatingIfNeeded: total)
            if isVersion4 {
                let old = buffer.loadBigEndian(at: offset &+ 2, as: UInt16.self)
                let checksum = buffer.loadBigEndian(at: offset &+ 10, as: UInt16.self)
                buffer.store(bigEndian: length, at: offset &+ 2)
                buffer.store(
                    bigEndian: InternetChecksum.updated(checksum, from: old, to: length),
                    at: offset &+ 10)
            } else {
                buffer.store(bigEndian: length &- 40, at: offset &+ 4)
            }
            guard !isTCP else { return }
            buffer.store(
                bigEndian: length &- UInt16(truncatingIfNeeded: transport),
                at: offset &+ transport &+ 4)
        }

        private func pseudoHeader(
            total: Int, at offset: Int, in buffer: RawSpan
        ) -> InternetChecksum {
            var sum = InternetChecksum()
            if isVersion4 {
                sum.add(buffer, from: offset &+ 12, count: 8)
            } else {
                sum.add(buffer, from: offset &+ 8, count: 32)
            }
            sum.add(UInt16((isTCP ? IPProtocol.tcp : .udp).rawValue))
            sum.add(UInt16(truncatingIfNeeded: total &- transport))
            return sum
        }

        private var virtioHeader: VirtioNetHeader {
            VirtioNetHeader(
                flags: .needsChecksum,
                segmentation: isTCP ? (isVersion4 ? .tcp4 : .tcp6) : .udp,
                headerLength: UInt16(truncatingIfNeeded: headerLength),
                segmentSize: UInt16(truncatingIfNeeded: segmentSize),
                checksumStart: UInt16(truncatingIfNeeded: transport),
                checksumOffset: UInt16(truncatingIfNeeded: checksumField))
        }

        /// Packets with IPv4 options or IPv6 extension headers are not joined.
        private var isVersion4: Bool {
            transport == IPHeader.shortestLength4
        }

        private var checksumField: Int {
            isTCP ? 16 : 6
        }

        private static let push: UInt8 = 0x08
    }
}
