/// A TCP or UDP packet, serialised in the simplest way, as a reference for the offloads.
struct TestPacket {
    var isVersion6 = false
    var isTCP = true
    /// The last bytes of the addresses.
    var source: UInt8 = 1
    var destination: UInt8 = 2
    var sourcePort: UInt16 = 1000
    var destinationPort: UInt16 = 2000
    var trafficClass: UInt8 = 0
    var flowLabel: UInt32 = 0
    var hopLimit: UInt8 = 64
    var identification: UInt16 = 0
    /// IPv4: reserved bit, DF, MF and offset.
    var fragment: UInt16 = 0x4000
    var ipOptions: [UInt8] = []
    var sequence: UInt32 = 1
    var acknowledgment: UInt32 = 1
    var flags: UInt8 = 0x10
    var window: UInt16 = 3000
    var urgent: UInt16 = 0
    var tcpOptions: [UInt8] = []
    var payload: [UInt8] = []
    /// The difference from the correct checksum.
    var transportChecksumError: UInt16 = 0
    var headerChecksumError: UInt16 = 0
    var isWithoutUDPChecksum = false

    static let ack: UInt8 = 0x10
    static let push: UInt8 = 0x08
    static let fin: UInt8 = 0x01
    static let congestionWindowReduced: UInt8 = 0x80

    /// A TCP segment of `length` payload bytes.
    static func tcp(
        _ length: Int, at sequence: UInt32, flags: UInt8 = ack, to destination: UInt8 = 2
    ) -> TestPacket {
        var packet = TestPacket()
        packet.sequence = sequence
        packet.flags = flags
        packet.destination = destination
        packet.payload = pattern(length)
        // Segments of equal length have consecutive identifications too.
        packet.identification = UInt16(truncatingIfNeeded: sequence / UInt32(max(1, length)))
        return packet
    }

    /// A UDP datagram of `length` payload bytes.
    static func udp(_ length: Int, number: UInt16 = 0, to destination: UInt8 = 2) -> TestPacket {
        var packet = TestPacket()
        packet.isTCP = false
        packet.destination = destination
        packet.payload = pattern(length)
        packet.identification = number
        return packet
    }

    /// The packet over IPv6.
    var overVersion6: TestPacket {
        with { $0.isVersion6 = true }
    }

    func with(_ change: (inout TestPacket) -> Void) -> TestPacket {
        var copy = self
        change(&copy)
        return copy
    }

    static func pattern(_ length: Int) -> [UInt8] {
        (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ 3) }
    }

    var transportOffset: Int {
        isVersion6 ? 40 : 20 + ipOptions.count
    }

    var headerLength: Int {
        transportOffset + (isTCP ? 20 + tcpOptions.count : 8)
    }

    var bytes: [UInt8] {
        let transport = transportBytes
        return ipHeader(payloadLength: transport.count) + transport
    }

    private var protocolNumber: UInt8 {
        isTCP ? 6 : 17
    }

    private var addresses: [UInt8] {
        if isVersion6 {
            let prefix: [UInt8] = [0x20, 0x01, 0x0D, 0xB8] + Array(repeating: 0, count: 11)
            return prefix + [source] + prefix + [destination]
        }
        return [192, 0, 2, source, 192, 0, 2, destination]
    }

    private func ipHeader(payloadLength: Int) -> [UInt8] {
        if isVersion6 {
            let word = 6 << 28 | UInt32(trafficClass) << 20 | flowLabel
            return word.bytes + UInt16(payloadLength).bytes + [protocolNumber, hopLimit] + addresses
        }
        let length = transportOffset + payloadLength
        var header = [0x45 + UInt8(ipOptions.count / 4), trafficClass]
        header += UInt16(length).bytes + identification.bytes + fragment.bytes
        header += [hopLimit, protocolNumber, 0, 0] + addresses + ipOptions
        let checksum = referenceChecksum(header) &+ headerChecksumError
        header.replaceSubrange(10..<12, with: checksum.bytes)
        return header
    }

    private var transportBytes: [UInt8] {
        var header = sourcePort.bytes + destinationPort.bytes
        let field: Int
        if isTCP {
            header += sequence.bytes + acknowledgment.bytes
            header += [UInt8(20 + tcpOptions.count) << 2, flags] + window.bytes
            field = header.count
            header += [0, 0] + urgent.bytes + tcpOptions
        } else {
            header += UInt16(8 + payload.count).bytes
            field = header.count
            header += [0, 0]
        }
        var bytes = header + payload
        let pseudoHeader =
            addresses + UInt32(bytes.count).bytes + [0, 0, 0, protocolNumber]
        var checksum = referenceChecksum(pseudoHeader + bytes)
        if !isTCP && checksum == 0 { checksum = 0xFFFF }
        checksum = isWithoutUDPChecksum ? 0 : checksum &+ transportChecksumError
        bytes.replaceSubrange(field..<field + 2, with: checksum.bytes)
        return bytes
    }
}

/// The Internet checksum, as RFC 1071 describes it.
func referenceChecksum(_ bytes: [UInt8]) -> UInt16 {
    ~referenceSum(bytes)
}

/// The one's complement sum of 16-bit words.
func referenceSum(_ bytes: [UInt8]) -> UInt16 {
    var sum = 0
    for (index, byte) in bytes.enumerated() {
        sum += index % 2 == 0 ? Int(byte) * 256 : Int(byte)
        if sum > 0xFFFF { sum -= 0xFFFF }
    }
    return UInt16(sum)
}

extension FixedWidthInteger {
    /// In network byte order.
    var bytes: [UInt8] {
        (0..<Self.bitWidth / 8).reversed().map { UInt8(truncatingIfNeeded: self >> ($0 * 8)) }
    }
}
