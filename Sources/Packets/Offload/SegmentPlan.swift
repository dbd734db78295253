/// Why a packet from the TUN cannot be segmented as its virtio header says. Callers drop and count such a
/// packet.
package enum SegmentationError: Error, Equatable {
    /// A kind of segmentation that we did not enable.
    case unknownKind
    /// The bytes are not an IP packet of the kind in the header.
    case wrongProtocol
    /// A header or a checksum field is outside of the packet.
    case outsideOfPacket
    /// A segment would be empty, or longer than an IP packet can be.
    case wrongSegmentSize
}

/// How to segment a super-packet from the TUN into packets (GSO).
///
/// Make one plan per super-packet. It holds no bytes, so pass the same bytes to `cut`. It holds the checksum
/// of what all segments have in common, so `cut` copies and sums the payload of a segment in a single pass.
///
///     [ virtio ][ IP ][ TCP ][ payload 0 | payload 1 | … | rest ]
///               ^ offset     ^ offset + headerLength
///          cut 0: [ IP' ][ TCP' ][ payload 0 ]
package struct SegmentPlan: Sendable {
    /// The number of resulting packets, at least one.
    package let count: Int

    let kind: Kind
    let offset: Int
    let length: Int
    let version: IPVersion
    /// The offset of the transport header in the packet. For `.checksum`, where the checksum starts.
    let transport: Int
    /// The length of all headers of a segment. For `.checksum`, the offset of the checksum field.
    let headerLength: Int
    let segmentSize: Int
    let identification: UInt16
    let sequence: UInt32
    /// Data offset, reserved bits and flags of the TCP header of the super-packet.
    let tcpFlags: UInt16
    /// The sum of the IPv4 header without identification, total length and checksum.
    let ipSum: InternetChecksum
    /// The sum of the pseudo-header and the transport header without the fields that differ between segments.
    let transportSum: InternetChecksum

    enum Kind: Sendable {
        /// One complete packet.
        case whole
        /// One packet with a partial checksum.
        case checksum
        case tcp, udp
    }

    /// Plans how to segment the packet of `length` bytes at `offset`.
    package init(
        _ virtio: VirtioNetHeader, packet: RawSpan, offset: Int, length: Int
    ) throws(SegmentationError) {
        guard offset >= 0, length > 0, length <= packet.byteCount &- offset else {
            throw .outsideOfPacket
        }
        switch virtio.segmentation.withoutECN {
        case .none where virtio.flags.contains(.needsChecksum):
            try self.init(finishing: virtio, offset: offset, length: length)
        case .none:
            self.init(whole: .whole, offset: offset, length: length, start: 0, field: 0)
        case .tcp4:
            try self.init(virtio, .tcp, .v4, packet: packet, offset: offset, length: length)
        case .tcp6:
            try self.init(virtio, .tcp, .v6, packet: packet, offset: offset, length: length)
        case .udp:
            let isVersion4 = packet.byte(at: offset) >> 4 == IPVersion.v4.rawValue
            try self.init(
                virtio, .udp, isVersion4 ? .v4 : .v6, packet: packet, offset: offset,
                length: length)
        default:
            throw .unknownKind
        }
    }
}

extension SegmentPlan {
    private init(whole kind: Kind, offset: Int, length: Int, start: Int, field: Int) {
        count = 1
        self.kind = kind
        self.offset = offset
        self.length = length
        version = .v4
        transport = start
        headerLength = field
        segmentSize = 0
        identification = 0
        sequence = 0
        tcpFlags = 0
        ipSum = InternetChecksum()
        transportSum = InternetChecksum()
    }

    private init(
        finishing virtio: VirtioNetHeader, offset: Int, length: Int
    ) throws(SegmentationError) {
        let start = Int(virtio.checksumStart)
        let field = start + Int(virtio.checksumOffset)
        guard field + 2 <= length else { throw .outsideOfPacket }
        self.init(whole: .checksum, offset: offset, length: length, start: start, field: field)
    }

    private init(
        _ virtio: VirtioNetHeader, _ kind: Kind, _ version: IPVersion,
        packet: RawSpan, offset: Int, length: Int
    ) throws(SegmentationError) {
        let transport = Int(virtio.checksumStart)
        let shortest = kind == .tcp ? Self.tcpHeaderLength : Self.udpHeaderLength
        guard virtio.flags.contains(.needsChecksum),
            Int(virtio.checksumOffset) == (kind == .tcp ? 16 : 6)
        else { throw .wrongProtocol }
        guard transport + shortest <= length else { throw .outsideOfPacket }
        try Self.check(
            kind == .tcp ? .tcp : .udp, version, packet: packet, offset: offset, length: length,
            transport: transport)

        let at = offset + transport
        // The header length from the kernel may be wrong, so use the data offset.
        let transportLength =
            kind == .tcp ? Int(packet.byte(at: at + 12) >> 4) * 4 : Self.udpHeaderLength
        headerLength = transport + transportLength
        segmentSize = Int(virtio.segmentSize)
        guard transportLength >= shortest, headerLength <= length else { throw .outsideOfPacket }
        let payload = length - headerLength
        guard segmentSize > 0, headerLength + min(segmentSize, payload) <= 65_535 else {
            throw .wrongSegmentSize
        }
        count = payload <= segmentSize ? 1 : (payload - 1) / segmentSize + 1

        self.kind = kind
        self.offset = offset
        self.length = length
        self.version = version
        self.transport = transport
        let isTCP = kind == .tcp
        sequence = isTCP ? packet.loadBigEndian(at: at + 4, as: UInt32.self) : 0
        tcpFlags = isTCP ? packet.loadBigEndian(at: at + 12, as: UInt16.self) : 0

        var ipSum = InternetChecksum()
        var transportSum = InternetChecksum()
        switch version {
        case .v4:
            identification = packet.loadBigEndian(at: offset + 4, as: UInt16.self)
            ipSum.add(packet, from: offset, count: 2)
            ipSum.add(packet, from: offset + 6, count: 4)
            ipSum.add(packet, from: offset + 12, count: transport - 12)
            transportSum.add(packet, from: offset + 12, count: 8)
        case .v6:
            identification = 0
            transportSum.add(packet, from: offset + 8, count: 32)
        }
        // The protocol of the pseudo-header and the ports; for TCP all but sequence, flags and checksum.
        transportSum.add(UInt16((isTCP ? IPProtocol.tcp : .udp).rawValue))
        transportSum.add(packet, from: at, count: 4)
        if isTCP {
            transportSum.add(packet, from: at + 8, count: 4)
            transportSum.add(packet, from: at + 14, count: 2)
            transportSum.add(packet, from: at + 18, count: transportLength - 18)
        }
        self.ipSum = ipSum
        self.transportSum = transportSum
    }

    /// Checks the offset and the protocol of the transport header.
    private static func check(
        _ expected: IPProtocol, _ version: IPVersion, packet: RawSpan, offset: Int, length: Int,
        transport: Int
    ) throws(SegmentationError) {
        guard packet.byte(at: offset) >> 4 == version.rawValue else { throw .wrongProtocol }
        switch version {
        case .v4:
            let headerLength = Int(packet.byte(at: offset) & 0xF) * 4
            guard headerLength >= IPHeader.shortestLength4, headerLength == transport else {
                throw .outsideOfPacket
            }
            let fragment = packet.loadBigEndian(at: offset + 6, as: UInt16.self)
            guard packet.byte(at: offset + 9) == expected.rawValue, fragment & 0x3FFF == 0 else {
                throw .wrongProtocol
            }
        case .v6:
            guard transport >= IPHeader.length6 else { throw .outsideOfPacket }
            let next = IPProtocol(rawValue: packet.byte(at: offset + 6))
            guard
                let found = IPv6Transport(packet, at: offset, next: next, length: length),
                !found.isLaterFragment, found.protocolNumber == expected,
                found.offset == transport
            else { throw .wrongProtocol }
        }
    }

    private static let tcpHeaderLength = 20
    private static let udpHeaderLength = 8
}
