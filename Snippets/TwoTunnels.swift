// Two tunnels without sockets and clocks: the program passes datagrams from one to the other.

import WireGuard

let now = Moment(
    instant: ObservedInstant(nanoseconds: 0), wall: WallTime(seconds: 1_800_000_000, nanoseconds: 0)
)
guard let aliceAddress = SocketAddress("192.0.2.1:51820"),
    let bobAddress = SocketAddress("198.51.100.2:51820"),
    let allIPv4 = IPPrefix("0.0.0.0/0")
else { preconditionFailure("an address is not valid") }

/// Makes a tunnel that is up and has one peer, with the addresses of `allowedIP` behind it.
func makeTunnel(
    _ key: borrowing PrivateKey, peer: PublicKey, at endpoint: SocketAddress,
    allowedIP: IPPrefix, now: Moment
) throws -> Tunnel {
    var change = ConfigurationChange()
    change.privateKey = .set(key.copy())
    change.addPeer(peer)
    change.withLastPeer { $0.endpoint = endpoint }
    change.addAllowedIP(allowedIP, .add)
    let tunnel = Tunnel()
    try tunnel.configure(change, now: now)
    tunnel.bringUp(now: now)
    return tunnel
}

try Cryptography.initialize()
var random = SystemRandom()
let aliceKey = PrivateKey(random: &random)
let bobKey = PrivateKey(random: &random)
let alice = try makeTunnel(
    aliceKey, peer: bobKey.publicKey, at: bobAddress, allowedIP: allIPv4, now: now)
let bob = try makeTunnel(
    bobKey, peer: aliceKey.publicKey, at: aliceAddress, allowedIP: allIPv4, now: now)

// An IPv4 packet without payload, from 10.0.0.1 to 10.0.0.2. It starts the handshake and waits for it.
let packet: [UInt8] = [0x45, 0, 0, 20, 0, 0, 0, 0, 64, 59, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]
alice.handlePacket(packet, now: now)

// The network. It carries the initiation, the response, and the packet.
var isQuiet = false
while !isQuiet {
    isQuiet = true
    while let datagram = alice.nextDatagram() {
        print("alice → bob: \(datagram.bytes.count) bytes")
        bob.handleDatagram(datagram.bytes, from: aliceAddress, now: now)
        isQuiet = false
    }
    while let datagram = bob.nextDatagram() {
        print("bob → alice: \(datagram.bytes.count) bytes")
        alice.handleDatagram(datagram.bytes, from: bobAddress, now: now)
        isQuiet = false
    }
}
while let received = bob.nextPacket() { print("bob received the packet: \(received == packet)") }
