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

    private func send(
        _ datagrams: [Datagram], byteCount: Int = Outbox.bufferByteCount,
        usesSegmentation: Bool = true
    ) throws -> Outbox.Outcome {
        var outbox = Outbox()
        var buffer = PacketBuffer(byteCount: byteCount)
        var bytes = buffer.mutableBytes
        let sockets = try UDPSocketPair.bind(port: 0)
        return outbox.send(
            datagrams, through: sockets[0], usesSegmentation: usesSegmentation, by: &bytes)
    }

    /// How many bytes the messages have that arrived, and their segments: what leaves as one message
    /// arrives as one over the loopback link.
    private func received(by socket: borrowing UDPSocket) -> [[Int]] {
        var batch = ReceiveBatch(slots: 32)
        var buffer = PacketBuffer(byteCount: ReceiveBatch.bufferByteCount(slots: 32))
        var bytes = buffer.mutableBytes
        guard case .messages(let count) = batch.receive(from: socket, into: &bytes) else {
            return []
        }
        return (0..<count).map { [batch.length($0), batch.segmentSize($0)] }
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

    @Test(
        "cookie replies to one remote leave as one message, at most 64 of them",
        arguments: [false, true])
    func joined(isIPv6: Bool) throws {
        let one = try UDPSocket(isIPv6 ? .v6 : .v4, port: 0)
        let other = try UDPSocket(isIPv6 ? .v6 : .v4, port: 0)
        let toOne = datagram(to: one.port, byteCount: 64, isIPv6: isIPv6)
        let toOther = datagram(to: other.port, byteCount: 64, isIPv6: isIPv6)
        let outcome = try send(
            Array(repeating: toOne, count: 70) + [toOther, toOther, toOne]
                + [datagram(to: one.port, byteCount: 63, isIPv6: isIPv6)])
        #expect(outcome == Outbox.Outcome())
        #expect(received(by: one) == [[64 * 64, 64], [6 * 64, 64], [64, 0], [63, 0]])
        #expect(received(by: other) == [[128, 64]])
    }

    @Test("what goes to peers leaves by itself, and so does all where segments are switched off")
    func single() throws {
        let receiver = try UDPSocket(.v4, port: 0)
        let ofPeer = datagram(to: receiver.port, peer: 1)
        #expect(try send([ofPeer, ofPeer]) == Outbox.Outcome())
        let reply = datagram(to: receiver.port)
        #expect(try send([reply, reply], usesSegmentation: false) == Outbox.Outcome())
        #expect(received(by: receiver) == Array(repeating: [100, 0], count: 4))
    }

    @Test("of replies that the kernel refuses together each is counted")
    func refusedTogether() throws {
        let outcome = try send(Array(repeating: datagram(to: 0), count: 100))
        #expect(outcome == Outbox.Outcome(dropped: 100, staleSources: []))
    }

    @Test("a run of replies that the buffer does not hold is sent in parts")
    func smallBuffer() throws {
        let receiver = try UDPSocket(.v4, port: 0)
        let replies = Array(repeating: datagram(to: receiver.port), count: 25)
        #expect(try send(replies, byteCount: 1050) == Outbox.Outcome())
        #expect(received(by: receiver) == [[1000, 100], [1000, 100], [500, 100]])
    }
}
