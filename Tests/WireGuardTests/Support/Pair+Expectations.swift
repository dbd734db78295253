import Packets
import Testing
import WireGuardCrypto
import WireGuardTestSupport

@testable import WireGuard

extension Pair {
    /// Whether a packet arrives in each direction.
    func isAlive() -> Bool {
        alice.received = []
        bob.received = []
        alice.send(InnerPacket.udp4(from: 1, to: 2))
        network.settle()
        bob.send(InnerPacket.udp4(from: 2, to: 1))
        network.settle()
        return bob.received.count == 1 && alice.received.count == 1
    }

    /// Sends numbered packets from Alice, `interval` apart.
    func stream(_ numbers: Range<Int>, every interval: Interval) {
        for number in numbers {
            alice.send(
                InnerPacket.udp4(
                    from: 1, to: 2, identification: UInt16(truncatingIfNeeded: number)))
            network.advance(by: interval)
        }
    }
}

extension Host {
    /// The numbers of the IPv4 packets received.
    var receivedNumbers: [Int] {
        received.map { Int(InnerPacket.identification(of: $0)) }
    }

    /// The number of receiver indices in use, for keypairs and handshakes.
    var indexCount: Int {
        tunnel.device.tables.indices.count + tunnel.device.handshakes.count
    }

    /// Calls `body` with the keypair that sends to a peer.
    func withCurrentKeypair(to other: Host, _ body: (borrowing Keypair) -> Void) {
        guard let slot = tunnel.device.peersByKey[other.publicKey]?.keypairs.current else {
            Issue.record("\(name) has no session")
            return
        }
        body(tunnel.device.tables.keypairs[slot])
    }

    /// Puts the device under load for the next second, as a long handshake queue does.
    func overload() {
        let length = Constants.handshakeQueueLength
        let device = tunnel.device
        _ = device.load.isUnderLoad(
            queued: length, capacity: length, now: device.steady(now.instant))
    }

    /// The number of events equal to this one.
    func count(_ event: TraceEvent) -> Int {
        events.count { $0 == event }
    }
}

extension Network {
    /// The datagrams sent during `body`.
    func seen(during body: () -> Void) -> [Capture] {
        let before = eve.seen.count
        body()
        return Array(eve.seen[before...])
    }
}

extension Interval {
    /// The interval in seconds.
    var inSeconds: Double { Double(nanoseconds) / 1e9 }
}

/// A forged handshake message with valid MACs, for which the public key of the receiver is enough.
func signed(_ message: [UInt8], for receiver: PublicKey) -> [UInt8] {
    var message = message
    var cookie = LatestCookie(publicKey: receiver)
    message.edit { cookie.addMACs(to: &$0, now: Instant(nanoseconds: 1)) }
    return message
}
