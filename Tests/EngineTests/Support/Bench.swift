import Packets
import WireGuardTestSupport

@testable import Engine
@testable import WireGuard

/// Alice's worker on fake ports, and Bob, the peer of Alice.
final class Bench {
    let script = Script()
    let network = Network()
    let pair: Pair
    let mailbox: Mailbox<FakeSockets>
    var coalescing: FlowCoalescer.Coalescing = [.tcp, .udp]
    var usesSegmentation = true
    /// How often the mailbox woke the worker.
    let signals = Script()

    init(hasSession: Bool = true) {
        pair = network.makePair()
        if hasSession { pair.connect() }
        let signals = signals
        mailbox = Mailbox { signals.wakeUps += 1 }
        script.now = pair.alice.now.instant
    }

    /// Alice's tunnel.
    var alice: Tunnel { pair.alice.tunnel }

    /// Runs a worker until it has handled these events.
    func run(sockets: FakeSockets? = FakeSockets(), _ waits: [WorkerEvent]...) {
        script.waits = waits
        if let sockets {
            mailbox.send(sockets)
            script.waits.insert([.mail], at: 0)
        }
        var worker = Worker(
            port: FakePort(script: script),
            sender: DualStackSender(FakeSender(script, .v4), FakeSender(script, .v6)),
            receiver: FakeReceiver(script), host: FakeHost(script), mailbox: mailbox,
            shared: alice.device.shared, coalescing: coalescing,
            usesSegmentation: usesSegmentation, jitterSeed: 1)
        worker.run()
    }

    /// What Bob sends when he is given these packets.
    func fromBob(_ packets: [[UInt8]]) -> [UDPArrival<[UInt8]>] {
        packets.compactMap { packet in
            pair.bob.tunnel.handlePacket(packet, now: pair.bob.now)
            guard let datagram = pair.bob.tunnel.nextDatagram() else { return nil }
            return UDPArrival(bytes: datagram.bytes, remote: pair.bob.address)
        }
    }

    /// The packets that Bob finds in what the worker sent.
    func atBob(_ sent: [Script.Sent]) -> [[UInt8]] {
        for message in sent {
            let range = message.transmit.bytes
            let size = range.segmentSize == 0 ? range.length : range.segmentSize
            for start in stride(from: 0, to: range.length, by: max(size, 1)) {
                let end = min(start + size, range.length)
                pair.bob.tunnel.handleDatagram(
                    Array(message.bytes[start..<end]), from: pair.alice.address,
                    now: pair.bob.now)
            }
        }
        var packets: [[UInt8]] = []
        while let packet = pair.bob.tunnel.nextPacket() { packets.append(packet) }
        return packets
    }

    /// A packet from Alice to Bob, and one back. They carry a UDP checksum, so that they can be joined.
    static func packet(_ number: Int, back: Bool = false, byteCount: Int = 200) -> [UInt8] {
        var packet = InnerPacket.udp4(
            from: back ? 2 : 1, to: back ? 1 : 2, byteCount: byteCount,
            identification: UInt16(number))
        var sum = UInt32(17 + byteCount - 20)
        for index in stride(from: 12, to: byteCount, by: 2) {
            sum += UInt32(packet[index]) << 8
            if index + 1 < byteCount { sum += UInt32(packet[index + 1]) }
        }
        while sum > 0xFFFF { sum = sum & 0xFFFF + sum >> 16 }
        packet[26] = UInt8(~sum >> 8 & 0xFF)
        packet[27] = UInt8(~sum & 0xFF)
        return packet
    }
}
