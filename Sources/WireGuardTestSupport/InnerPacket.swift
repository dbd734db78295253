/// Packets that an application sends, with correct lengths and IPv4 header checksums. Addresses are 10.0.0.n
/// and fd00::n.
public enum InnerPacket {
    /// A UDP datagram over IPv4.
    ///
    /// - Parameters:
    ///   - source: the last byte of the source address.
    ///   - destination: the last byte of the destination address.
    ///   - byteCount: the length of the whole packet, at least 28.
    ///   - identification: any number, to distinguish packets.
    ///   - trafficClass: DSCP and ECN.
    ///   - sourcePort: the source port.
    ///   - destinationPort: the destination port.
    public static func udp4(
        from source: UInt8, to destination: UInt8, byteCount: Int = 84,
        identification: UInt16 = 0, trafficClass: UInt8 = 0, sourcePort: UInt16 = 4000,
        destinationPort: UInt16 = 4001
    ) -> [UInt8] {
        ipv4(
            from: [10, 0, 0, source], to: [10, 0, 0, destination],
            payload: udpPayload(byteCount - 20, sourcePort, destinationPort),
            identification: identification, trafficClass: trafficClass)
    }

    /// A UDP datagram over IPv6. `byteCount` must be at least 48.
    public static func udp6(
        from source: UInt8, to destination: UInt8, byteCount: Int = 104, trafficClass: UInt8 = 0
    ) -> [UInt8] {
        let payload = udpPayload(byteCount - 40, 4000, 4001)
        return [0x60 | trafficClass >> 4, trafficClass << 4, 0, 0]
            + bigEndian(UInt16(payload.count)) + [17, 64] + address6(source)
            + address6(destination) + payload
    }

    /// An IPv4 packet with the protocol UDP and any payload.
    public static func ipv4(
        from source: [UInt8], to destination: [UInt8], payload: [UInt8],
        identification: UInt16 = 0, trafficClass: UInt8 = 0
    ) -> [UInt8] {
        var header: [UInt8] =
            [0x45, trafficClass] + bigEndian(UInt16(20 + payload.count))
            + bigEndian(identification) + [0x40, 0, 64, 17, 0, 0] + source + destination
        let checksum = checksum(of: header)
        header[10] = UInt8(checksum >> 8)
        header[11] = UInt8(checksum & 0xFF)
        return header + payload
    }

    /// The identification of an IPv4 packet, see ``udp4(from:to:byteCount:identification:trafficClass:sourcePort:destinationPort:)``.
    public static func identification(of packet: [UInt8]) -> UInt16 {
        UInt16(packet[4]) << 8 | UInt16(packet[5])
    }

    /// Whether the checksum of an IPv4 header without options is correct.
    public static func hasRightChecksum(_ packet: [UInt8]) -> Bool {
        packet.count >= 20 && checksum(of: Array(packet[..<20])) == 0
    }

    private static func udpPayload(
        _ byteCount: Int, _ source: UInt16, _ destination: UInt16
    ) -> [UInt8] {
        // A zero checksum means that there is none.
        bigEndian(source) + bigEndian(destination) + bigEndian(UInt16(byteCount)) + [0, 0]
            + (0..<max(byteCount - 8, 0)).map { UInt8(truncatingIfNeeded: $0) }
    }

    private static func address6(_ last: UInt8) -> [UInt8] {
        [0xFD] + [UInt8](repeating: 0, count: 14) + [last]
    }

    private static func bigEndian(_ number: UInt16) -> [UInt8] {
        [UInt8(number >> 8), UInt8(number & 0xFF)]
    }

    private static func checksum(of header: [UInt8]) -> UInt16 {
        var sum: UInt32 = 0
        for index in stride(from: 0, to: header.count - 1, by: 2) {
            sum += UInt32(header[index]) << 8 | UInt32(header[index + 1])
        }
        while sum > 0xFFFF { sum = sum & 0xFFFF + sum >> 16 }
        return ~UInt16(sum)
    }
}
