import Glibc
import LinuxIO
import Packets
import Testing

@testable import Engine
@testable import WireGuard

@Suite("Outbox of the control thread")
struct OutboxTests {
    /// A datagram to a port of the loopback address. Sending to port 0 always fails.
    private func datagram(
        to port: UInt16, byteCount: Int = 100, peer: UInt32? = nil, isIPv6: Bool = false,
        source: IPAddress? = nil
    ) -> UDPTransmit<[UInt8]> {
        let address: IPAddress =
            isIPv6 ? .v6(IPv6Address(high: 0, low: 1)) : .v4(IPv4Address(bits: 0x7F00_0001))
        var datagram = UDPTransmit(
            bytes: Array(repeating: 7 as UInt8, count: byteCount),
            remote: SocketAddress(address: address, port: port),
            source: source.map { SourceAddress(address: $0, interfaceIndex: 0) })
        datagram.peer = peer.map(PeerSlot.init)
        return datagram
    }

    private func makeOutbox() -> Outbox<SendBatch> {
        Outbox(SendBatch(capacity: 64, family: .v4), SendBatch(capacity: 64, family: .v6))
    }

    private func send(
        _ datagrams: [UDPTransmit<[UInt8]>], byteCount: Int = 256 << 10,
        usesSegmentation: Bool = true
    ) throws -> OutboxOutcome {
        var outbox = makeOutbox()
        let sockets = try UDPSocketPair.bind(port: 0)
        return send(
            datagrams, from: &outbox, through: sockets[0], byteCount: byteCount,
            usesSegmentation: usesSegmentation)
    }

    private func send(
        _ datagrams: [UDPTransmit<[UInt8]>], from outbox: inout Outbox<SendBatch>,
        through sockets: UDPSocketPair,
        byteCount: Int = 256 << 10, usesSegmentation: Bool = true,
        at seconds: UInt64 = 1
    ) -> OutboxOutcome {
        var buffer = PacketBuffer(byteCount: byteCount)
        return outbox.send(
            datagrams, through: sockets, usesSegmentation: usesSegmentation, by: &buffer,
            now: ObservedInstant(nanoseconds: seconds * 1_000_000_000))
    }

    /// A socket on a kernel that supports segments.
    private func receiver(isIPv6: Bool = false) throws -> UDPSocket {
        let socket = try UDPSocket(isIPv6 ? .v6 : .v4, port: 0)
        let hasSegments = socket.hasReceiveOffload && socket.hasSegmentation
        try #require(hasSegments)
        return socket
    }

    /// The length and segment size of each message received. A message arrives over the loopback link
    /// as it was sent.
    private func received(by socket: borrowing UDPSocket) -> [[Int]] {
        var batch = ReceiveBatch(slots: 32)
        var buffer = PacketBuffer(byteCount: ReceiveBatch.bufferByteCount(slots: 32))
        var bytes = buffer.mutableBytes
        guard case .messages(let count) = batch.receive(from: socket, into: &bytes) else {
            return []
        }
        return (0..<count).map { [batch.length($0), batch.segmentSize($0)] }
    }

    @Test("datagrams that the kernel refuses are counted across batches")
    func refused() throws {
        let receiver = try UDPSocket(.v4, port: 0)
        let datagrams = (0..<200).map { datagram(to: $0 % 10 == 3 ? 0 : receiver.port, peer: 1) }
        let outcome = try send(datagrams)
        #expect(outcome == OutboxOutcome(dropped: 20, staleSources: []))
    }

    @Test("an oversized datagram is counted as dropped, and the others are sent")
    func tooLarge() throws {
        let receiver = try UDPSocket(.v4, port: 0)
        let outcome = try send(
            [datagram(to: receiver.port), datagram(to: receiver.port, byteCount: 1001)],
            byteCount: 1000)
        #expect(outcome == OutboxOutcome(dropped: 1, staleSources: []))
        var batch = ReceiveBatch(slots: 4)
        var buffer = PacketBuffer(byteCount: ReceiveBatch.bufferByteCount(slots: 4))
        var bytes = buffer.mutableBytes
        let result = batch.receive(from: receiver, into: &bytes)
        #expect(result == .messages(1))
    }

    @Test(
        "up to 64 cookie replies to one remote are sent as one message",
        arguments: [false, true])
    func joined(isIPv6: Bool) throws {
        let one = try receiver(isIPv6: isIPv6)
        let other = try receiver(isIPv6: isIPv6)
        let toOne = datagram(to: one.port, byteCount: 64, isIPv6: isIPv6)
        let toOther = datagram(to: other.port, byteCount: 64, isIPv6: isIPv6)
        let outcome = try send(
            Array(repeating: toOne, count: 70) + [toOther, toOther, toOne]
                + [datagram(to: one.port, byteCount: 63, isIPv6: isIPv6)])
        #expect(outcome == OutboxOutcome())
        #expect(received(by: one) == [[64 * 64, 64], [6 * 64, 64], [64, 0], [63, 0]])
        #expect(received(by: other) == [[128, 64]])
    }

    @Test("no message exceeds the maximum length")
    func longReplies() throws {
        let receiver = try receiver()
        let replies = Array(repeating: datagram(to: receiver.port, byteCount: 2000), count: 40)
        #expect(try send(replies) == OutboxOutcome())
        #expect(received(by: receiver) == [[64_000, 2000], [16_000, 2000]])
    }

    @Test("datagrams to peers are sent one by one, and all are without segmentation")
    func single() throws {
        let receiver = try receiver()
        let reply = datagram(to: receiver.port)
        let ofPeer = datagram(to: receiver.port, peer: 1)
        #expect(try send([reply, ofPeer, ofPeer, reply]) == OutboxOutcome())
        #expect(try send([reply, reply], usesSegmentation: false) == OutboxOutcome())
        #expect(received(by: receiver) == Array(repeating: [100, 0], count: 6))
    }

    @Test("replies with different sources are sent separately")
    func sources() throws {
        let receiver = try receiver()
        let replies = (1...2).map {
            datagram(to: receiver.port, source: .v4(IPv4Address(bits: 0x7F00_0000 + $0)))
        }
        #expect(try send(replies) == OutboxOutcome())
        #expect(received(by: receiver) == [[100, 0], [100, 0]])
    }

    @Test("the peer whose source was refused is identified after joined replies")
    func staleSource() throws {
        let receiver = try receiver()
        let receiver6 = try self.receiver(isIPv6: true)
        // Addresses that no host has: RFC 5737 and RFC 6666.
        let stranger = IPAddress.v4(IPv4Address(bits: 0xC000_0201))
        let stranger6 = IPAddress.v6(IPv6Address(high: 0x0100_0000_0000_0000, low: 1))
        let replies = Array(repeating: datagram(to: receiver.port), count: 3)
        let replies6 = Array(repeating: datagram(to: receiver6.port, isIPv6: true), count: 3)
        let batch =
            replies + [datagram(to: receiver.port, peer: 5, source: stranger)] + replies6
            + replies
            + [datagram(to: receiver6.port, peer: 6, isIPv6: true, source: stranger6)]
        let stale = [5, 6].map(PeerSlot.init)
        #expect(try send(batch) == OutboxOutcome(dropped: 0, staleSources: stale))
        // Across a flush.
        let twice = try send(batch + batch, byteCount: 1200)
        #expect(twice == OutboxOutcome(dropped: 0, staleSources: stale + stale))
    }

    @Test("each segment of a refused message is counted")
    func refusedTogether() throws {
        let outcome = try send(Array(repeating: datagram(to: 0), count: 100))
        #expect(outcome == OutboxOutcome(dropped: 100, staleSources: []))
    }

    @Test("after a refusal of segments, replies are sent one by one for 10 s")
    func refusedSegments() throws {
        let receiver = try receiver()
        let sockets = try UDPSocketPair.bind(port: 0)
        let sender = try #require(sockets[0].v4).socket.descriptor.rawValue
        var outbox = makeOutbox()
        let replies = Array(repeating: datagram(to: receiver.port), count: 3)
        // The kernel segments only datagrams that it may checksum.
        try doWithoutChecksums(sender, true)
        #expect(send(replies, from: &outbox, through: sockets[0], at: 1) == OutboxOutcome())
        try doWithoutChecksums(sender, false)
        #expect(send(replies, from: &outbox, through: sockets[0], at: 10) == OutboxOutcome())
        #expect(received(by: receiver) == Array(repeating: [100, 0], count: 6))
        #expect(send(replies, from: &outbox, through: sockets[0], at: 11) == OutboxOutcome())
        #expect(received(by: receiver) == [[300, 100]])
    }

    private func doWithoutChecksums(_ socket: Int32, _ isOn: Bool) throws {
        var value: Int32 = isOn ? 1 : 0
        let code = unsafe setsockopt(socket, SOL_SOCKET, SO_NO_CHECK, &value, 4)
        try #require(code == 0)
    }

    @Test("replies that exceed the buffer are sent in parts")
    func smallBuffer() throws {
        let receiver = try receiver()
        let replies = Array(repeating: datagram(to: receiver.port), count: 25)
        #expect(try send(replies, byteCount: 1050) == OutboxOutcome())
        #expect(received(by: receiver) == [[1000, 100], [1000, 100], [500, 100]])
    }
}
