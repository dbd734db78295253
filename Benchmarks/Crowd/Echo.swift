import Packets

/// Pings through the tunnel, one per millisecond, and their round trips.
struct Echo {
    static let interval: UInt64 = 1_000_000
    /// A longer round trip counts as a pause.
    static let pause: UInt64 = 5_000_000
    /// How long the last replies may take.
    static let patience: UInt64 = 200_000_000
    static let byteCount = 64

    private(set) var sent = 0
    /// In nanoseconds, in order of arrival.
    private(set) var roundTrips: [UInt64] = []
    private var departures = [UInt64](repeating: 0, count: 1 << 16)
    private var sequence: UInt16 = 0

    /// Discards all measurements.
    mutating func reset() {
        sent = 0
        roundTrips = []
        departures = [UInt64](repeating: 0, count: 1 << 16)
    }

    /// Writes the next request.
    mutating func write(
        from source: IPv4Address, to destination: IPv4Address, now: UInt64,
        at offset: Int, into bytes: inout MutableRawSpan
    ) {
        sequence &+= 1
        sent += 1
        departures[Int(sequence)] = now
        bytes.zero(offset..<offset + Self.byteCount)
        // Version 4, 5 words of header; don't fragment; 64 hops; ICMP.
        bytes.store(bigEndian: 0x4500_0000 | UInt32(Self.byteCount), at: offset)
        bytes.store(bigEndian: 0x4000 as UInt16, at: offset + 6)
        bytes.store(bigEndian: 0x4001 as UInt16, at: offset + 8)
        bytes.store(bigEndian: source.bits, at: offset + 12)
        bytes.store(bigEndian: destination.bits, at: offset + 16)
        bytes.store(bigEndian: Self.checksum(bytes.bytes, offset, count: 20), at: offset + 10)
        // Echo request, code 0.
        bytes.store(byte: 8, at: offset + 20)
        bytes.store(bigEndian: sequence, at: offset + 26)
        bytes.store(
            bigEndian: Self.checksum(bytes.bytes, offset + 20, count: Self.byteCount - 20),
            at: offset + 22)
    }

    /// Records the round trip if the packet is a reply to one of these pings.
    mutating func read(_ bytes: RawSpan, at offset: Int, length: Int, now: UInt64) {
        guard length >= Self.byteCount, bytes.byte(at: offset + 9) == 1,
            bytes.byte(at: offset + 20) == 0
        else { return }
        let index = Int(bytes.loadBigEndian(at: offset + 26, as: UInt16.self))
        guard departures[index] > 0 else { return }
        roundTrips.append(now - departures[index])
        departures[index] = 0
    }

    private static func checksum(_ bytes: RawSpan, _ offset: Int, count: Int) -> UInt16 {
        var sum: UInt32 = 0
        for word in stride(from: offset, to: offset + count, by: 2) {
            sum += UInt32(bytes.loadBigEndian(at: word, as: UInt16.self))
        }
        while sum > 0xFFFF { sum = sum & 0xFFFF + sum >> 16 }
        return ~UInt16(sum)
    }
}
