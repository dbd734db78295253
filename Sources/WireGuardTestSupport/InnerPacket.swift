/// Packets of the inside, as an application would send them, with right lengths and checksums of the
/// IPv4 header. Addresses are 10.0.0.n and fd00::n.
public enum InnerPacket {
    /// A UDP datagram over IPv4.
    ///
    /// - Parameters:
    ///   - source: the last byte of its address.
    ///   - destination: the last byte of its address.
    ///   - byteCount: the length of the whole packet, at least 28.
    ///   - identification: anything, to tell packets apart.
    ///   - trafficClass: DSCP and ECN.
    ///   - sourcePort: its UDP port.
    ///   - destinationPort: its UDP port.
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

    /// A UDP datagram over IPv6; `byteCount` is at least 48.
    public static func udp6(
        from source: UInt8, to destination: UInt8, byteCount: Int = 104, trafficClass: UInt8 = 0
    ) -> [UInt8] {
        let payload = udpPayload(byteCount - 40, 4000, 4001)
        return [0x60 | trafficClass >> 4, trafficClass << 4, 0, 0]
            + bigEndian(UInt16(payload.count)) + [17, 64] + address6(source)
            + address6(destination) + payload
    }

    /// An IPv4 packet that carries `payload` as UDP, whatever it is.
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

    /// What tells IPv4 packets apart, as given to ``udp4(from:to:byteCount:identification:trafficClass:sourcePort:destinationPort:)``.
    public static func identification(of packet: [UInt8]) -> UInt16 {
        UInt16(packet[4]) << 8 | UInt16(packet[5])
    }

    /// Whether the checksum of an IPv4 header without options is right.
    public static func hasRightChecksum(_ packet: [UInt8]) -> Bool {
        packet.count >= 20 && checksum(of: Array(packet[..<20])) == 0
    }

    private static func udpPayload(
        _ byteCount: Int, _ source: UInt16, _ destination: UInt16
    ) -> [UInt8] {
        // A checksum of zero is none.
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
