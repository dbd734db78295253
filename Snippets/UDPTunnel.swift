// Two tunnels in one program, each with a UDP socket on the loopback interface and the system's clocks.
// Alice sends a packet to Bob. Exits with 0 when Bob has it, and with 1 if that takes five seconds.

import Glibc
import WireGuard

// snippet.moment
/// Reads both clocks, as for each call that takes a `Moment`.
func readClocks() -> Moment {
    var boot = timespec()
    var wall = timespec()
    clock_gettime(CLOCK_BOOTTIME, &boot)
    clock_gettime(CLOCK_REALTIME, &wall)
    return Moment(
        instant: ObservedInstant(
            nanoseconds: UInt64(boot.tv_sec) * 1_000_000_000 + UInt64(boot.tv_nsec)),
        wall: WallTime(seconds: Int64(wall.tv_sec), nanoseconds: UInt32(wall.tv_nsec)))
}
// snippet.end

// snippet.socket
/// A UDP socket on 127.0.0.1.
struct UDPSocket {
    let descriptor: Int32
    let port: UInt16

    init() {
        let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        var address = Self.loopback(port: 0)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, size) == 0 && getsockname(descriptor, $0, &size) == 0
            }
        }
        guard descriptor >= 0, bound else { fatalError(String(cString: strerror(errno))) }
        self.descriptor = descriptor
        port = UInt16(bigEndian: address.sin_port)
    }

    /// Sends a datagram. A full buffer or an ICMP error loses it, as the network may at any time.
    func send(_ bytes: [UInt8], toPort port: UInt16) {
        var address = Self.loopback(port: port)
        withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = sendto(
                    descriptor, bytes, bytes.count, 0, $0,
                    socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    /// The next datagram and the port it came from; nil if none waits.
    func receive() -> (bytes: [UInt8], port: UInt16)? {
        var bytes = [UInt8](repeating: 0, count: 65_536)
        var address = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let count = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                recvfrom(descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT), $0, &size)
            }
        }
        guard count >= 0 else { return nil }
        return (Array(bytes[..<count]), UInt16(bigEndian: address.sin_port))
    }

    private static func loopback(port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }
}
// snippet.end

let localhost = IPAddress.v4(IPv4Address(bits: 0x7F00_0001))

// snippet.loop
/// A tunnel and its socket.
struct Node {
    let tunnel = Tunnel()
    let socket = UDPSocket()

    /// Passes in what has arrived and what is due, then sends what the tunnel has for the network.
    /// Returns the packets for the application.
    func turn() -> [[UInt8]] {
        while let (bytes, port) = socket.receive() {
            tunnel.handleDatagram(
                bytes, from: SocketAddress(address: localhost, port: port), now: readClocks())
        }
        tunnel.handleTimeout(now: readClocks())
        while let datagram = tunnel.nextDatagram() {
            socket.send(datagram.bytes, toPort: datagram.remote.port)
        }
        var packets: [[UInt8]] = []
        while let packet = tunnel.nextPacket() { packets.append(packet) }
        return packets
    }
}

/// Waits for a datagram on either socket, or until the first timer is due.
func wait(for nodes: [Node]) {
    let now = readClocks().instant
    let deadlines = nodes.compactMap(\.tunnel.nextTimeout)
    // Rounded up, so that the timer is due when poll(2) returns.
    let milliseconds = deadlines.min().map { ($0.since(now).nanoseconds + 999_999) / 1_000_000 }
    var descriptors = nodes.map {
        pollfd(fd: $0.socket.descriptor, events: Int16(POLLIN), revents: 0)
    }
    poll(&descriptors, nfds_t(descriptors.count), Int32(min(milliseconds ?? 1000, 1000)))
}
// snippet.end

// snippet.configuration
/// Gives a node its key and one peer, with all IPv4 addresses behind it, and brings its tunnel up.
func connect(
    _ node: Node, _ key: borrowing PrivateKey, to peer: PublicKey, atPort port: UInt16
) throws {
    var change = ConfigurationChange()
    change.privateKey = .set(key.copy())
    change.addPeer(peer)
    change.withLastPeer { $0.endpoint = SocketAddress(address: localhost, port: port) }
    if let allIPv4 = IPPrefix("0.0.0.0/0") { change.addAllowedIP(allIPv4, .add) }
    try node.tunnel.configure(change, now: readClocks())
    node.tunnel.bringUp(now: readClocks())
}
// snippet.end

try Cryptography.initialize()
var random = SystemRandom()
let aliceKey = PrivateKey(random: &random)
let bobKey = PrivateKey(random: &random)
let alice = Node()
let bob = Node()
try connect(alice, aliceKey, to: bobKey.publicKey, atPort: bob.socket.port)
try connect(bob, bobKey, to: aliceKey.publicKey, atPort: alice.socket.port)

// An IPv4 packet without payload, from 10.0.0.1 to 10.0.0.2. It starts the handshake and waits for it.
let packet: [UInt8] = [0x45, 0, 0, 20, 0, 0, 0, 0, 64, 59, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]
alice.tunnel.handlePacket(packet, now: readClocks())

let deadline = readClocks().instant + .seconds(5)
while readClocks().instant < deadline {
    _ = alice.turn()
    if bob.turn().contains(packet) {
        print("Bob received the packet: \(packet.count) bytes from 127.0.0.1:\(alice.socket.port).")
        exit(0)
    }
    wait(for: [alice, bob])
}
print("Bob did not receive the packet.")
exit(1)
