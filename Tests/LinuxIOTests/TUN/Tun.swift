import CLinux
import Glibc
import LinuxIO
import Packets
import Testing

/// A TUN with the address 10.76.0.1/24 that is up, and its first queue.
struct Tun: ~Copyable {
    let device: TunDevice
    let queue: TunQueue

    init(_ name: String = "iot0", offloads: TunOffloads = .all) throws {
        let device = try TunDevice.create(
            try #require(InterfaceName(name)), offloads: offloads)
        _ = try KernelControl(tun: device).quietLink()
        let queue = try device.openQueue(0)
        try Host.run("ip addr add 10.76.0.1/24 dev \(name)")
        try Host.run("ip link set \(name) up")
        self.device = device
        self.queue = queue
    }

    func index() throws -> UInt32 {
        let routes = try RouteSocket()
        return try routes.link(named: try device.name()).index
    }

    /// Sends datagrams from the host to the other end of the tunnel.
    func send(length: Int, segmentSize: Int) throws {
        let socket = try UDPSocket(.v4, port: 0)
        var batch = SendBatch(capacity: 1, family: .v4)
        var outgoing = PacketBuffer(byteCount: length)
        var bytes = outgoing.mutableBytes
        for offset in 0..<length {
            bytes.store(byte: UInt8(truncatingIfNeeded: offset), at: offset)
        }
        batch.append(
            offset: 0, length: length, segmentSize: segmentSize,
            to: SocketAddress(address: .v4(TunDeviceTests.far), port: 9), source: nil,
            trafficClass: 0)
        let outcome = batch.flush(to: socket, from: outgoing.bytes)
        try #require(outcome.sent == 1 && outcome.segmentationFailure == nil)
    }

    /// Reads one packet with its virtio header.
    func read() throws -> [UInt8] {
        let isReadable = Host.isReadable(queue.descriptor)
        try #require(isReadable)
        var buffer = PacketBuffer(byteCount: 70_000)
        var bytes = buffer.mutableBytes
        let result = queue.read(into: &bytes, at: 100, count: 69_000)
        guard case .bytes(let count) = result else {
            Issue.record("read: \(result)")
            return []
        }
        return (100..<100 + count).map { bytes.byte(at: $0) }
    }

    /// Writes a packet: an empty virtio header, then the bytes in three pieces that are not adjacent.
    func write(_ packet: [UInt8]) -> PacketWriteResult {
        let header = PacketBuffer(zeros: 10)
        var buffer = PacketBuffer(byteCount: 4096)
        var pieces = GatherList(capacity: 3)
        var bytes = buffer.mutableBytes
        var start = 0
        for (place, length) in [(2000, 20), (0, 8), (1000, Int.max)] {
            let length = min(length, packet.count - start)
            guard length > 0 else { break }
            for offset in 0..<length {
                bytes.store(byte: packet[start + offset], at: place + offset)
            }
            pieces.append(offset: place, length: length)
            start += length
        }
        return queue.write(header: header.bytes, pieces: &pieces, of: buffer.bytes)
    }

    /// An IPv4 packet with a UDP datagram from the other end of the tunnel, without a UDP checksum.
    static func datagram(_ payload: [UInt8], port: UInt16) -> [UInt8] {
        let total = 28 + payload.count
        var packet: [UInt8] = [
            0x45, 0, UInt8(total >> 8), UInt8(total & 0xFF), 0, 1, 0, 0, 64, 17, 0, 0, 10, 76, 0, 2,
            10, 76, 0, 1, 0x12, 0x34, UInt8(port >> 8), UInt8(port & 0xFF), 0,
            UInt8(8 + payload.count), 0, 0,
        ]
        var sum: UInt32 = 0
        for index in stride(from: 0, to: 20, by: 2) {
            sum += UInt32(packet[index]) << 8 | UInt32(packet[index + 1])
        }
        while sum > 0xFFFF { sum = (sum & 0xFFFF) + (sum >> 16) }
        packet[10] = UInt8(~sum >> 8 & 0xFF)
        packet[11] = UInt8(~sum & 0xFF)
        return packet + payload
    }

    /// Opens a TUN or TAP with the given flags, as another program may.
    static func openForeign(_ name: String, flags: Int32) throws -> Int32 {
        let fd = unsafe clinux_open("/dev/net/tun", O_RDWR)
        try #require(fd >= 0)
        try #require(unsafe clinux_tun_set_interface(fd, name, flags) == 0)
        return fd
    }
}

extension PacketBuffer {
    /// A buffer of zeros.
    init(zeros count: Int) {
        self.init(byteCount: count)
        var bytes = mutableBytes
        for offset in 0..<count { bytes.store(byte: 0, at: offset) }
    }
}
