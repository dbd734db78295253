import LinuxIO
import Packets
import Testing

@testable import WireGuard
@testable import WireGuardDaemon

@Suite("What the control thread sends")
struct OutboxTests {
    /// A datagram to a port of the loopback link, or of its like of IPv6. Nobody can send to port 0.
    private func datagram(
        to port: UInt16, byteCount: Int = 100, peer: UInt32? = nil, isIPv6: Bool = false
    ) -> Datagram {
        let address: IPAddress =
            isIPv6 ? .v6(IPv6Address(high: 0, low: 1)) : .v4(IPv4Address(bits: 0x7F00_0001))
        return Datagram(
            bytes: Array(repeating: 7, count: byteCount),
            remote: SocketAddress(address: address, port: port), source: nil, trafficClass: 0,
            peer: peer.map(PeerSlot.init))
    }

    private func send(_ datagrams: [Datagram], byteCount: Int = Outbox.bufferByteCount) throws
        -> Outbox.Outcome
    {
        var outbox = Outbox()
        var buffer = PacketBuffer(byteCount: byteCount)
        var bytes = buffer.mutableBytes
        let sockets = try UDPSocketPair.bind(port: 0)
        return outbox.send(datagrams, through: sockets[0], by: &bytes)
    }

    @Test("what the kernel refuses is counted, in batch after batch")
    func refused() throws {
        let receiver = try UDPSocket(.v4, port: 0)
        let datagrams = (0..<200).map { datagram(to: $0 % 10 == 3 ? 0 : receiver.port) }
        let outcome = try send(datagrams)
        #expect(outcome == Outbox.Outcome(dropped: 20, staleSources: []))
    }

    @Test("what is larger than any datagram can be is counted, and the others leave")
    func tooLarge() throws {
        let receiver = try UDPSocket(.v4, port: 0)
        let outcome = try send(
            [datagram(to: receiver.port), datagram(to: receiver.port, byteCount: 1001)],
            byteCount: 1000)
        #expect(outcome == Outbox.Outcome(dropped: 1, staleSources: []))
        var batch = ReceiveBatch(slots: 4)
        var buffer = PacketBuffer(byteCount: ReceiveBatch.bufferByteCount(slots: 4))
        var bytes = buffer.mutableBytes
        let result = batch.receive(from: receiver, into: &bytes)
        #expect(result == .messages(1))
    }
}
