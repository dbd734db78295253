import Logging
import WireGuard

// Types of all three modules of the library, as `import WireGuard` exports them.
try Cryptography.initialize()
var random = SystemRandom()
let key = PrivateKey(random: &random)
let peer = PrivateKey(random: &random).publicKey
guard let address = SocketAddress("192.0.2.1:51820"), let allIPv4 = IPPrefix("0.0.0.0/0") else {
    preconditionFailure("an address is not valid")
}
var change = ConfigurationChange()
change.privateKey = .set(key.copy())
change.addPeer(peer)
change.withLastPeer { $0.endpoint = address }
change.addAllowedIP(allIPv4, .add)

let now = Moment(
    instant: .init(nanoseconds: 0), wall: WallTime(seconds: 1_800_000_000, nanoseconds: 0))
let tunnel = Tunnel()
try tunnel.configure(change, now: now)
tunnel.bringUp(now: now)
tunnel.handlePacket(
    [0x45, 0, 0, 20, 0, 0, 0, 0, 64, 59, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2], now: now)
let datagram = tunnel.nextDatagram()
// An initiation has 148 bytes.
print("initiation of \(datagram?.bytes.count ?? 0) bytes, swift-log \(logVersion)")
