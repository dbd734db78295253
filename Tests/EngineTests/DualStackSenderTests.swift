import Packets
import Testing
import WireGuard

@testable import Engine

@Suite("Sends to both families")
struct DualStackSenderTests {
    let script = Script()

    private func transmit(_ tag: UInt32?, isIPv6: Bool = false) -> UDPTransmit<SegmentRange> {
        let address: IPAddress =
            isIPv6 ? .v6(IPv6Address(high: 0, low: 1)) : .v4(IPv4Address(bits: 1))
        var transmit = UDPTransmit(
            bytes: SegmentRange(offset: 0, length: 8, segmentSize: 4),
            remote: SocketAddress(address: address, port: 1))
        transmit.tag = tag
        return transmit
    }

    private func makeSender() -> DualStackSender<FakeSender> {
        DualStackSender(FakeSender(script, .v4), FakeSender(script, .v6))
    }

    @Test("messages are split by family and keep their order")
    func splits() {
        var sender = makeSender()
        let buffer = PacketBuffer(byteCount: 8)
        for (tag, isIPv6) in [(1, false), (2, true), (3, false), (4, true)] {
            sender.append(transmit(UInt32(tag), isIPv6: isIPv6))
        }
        let outcome4 = sender.flush4(through: .v4, from: buffer.bytes)
        let outcome6 = sender.flush6(through: .v6, from: buffer.bytes)
        #expect(outcome4.dropped == 0 && outcome6.dropped == 0)
        #expect(script.sent4.map(\.transmit.tag) == [1, 3])
        #expect(script.sent6.map(\.transmit.tag) == [2, 4])
    }

    @Test("without a socket all datagrams are lost, and the batch is empty afterwards")
    func missing() {
        var sender = makeSender()
        let buffer = PacketBuffer(byteCount: 8)
        for isIPv6 in [false, true] { sender.append(transmit(1, isIPv6: isIPv6)) }
        let lost4 = sender.flush4(through: nil, from: buffer.bytes).dropped
        let lost6 = sender.flush6(through: nil, from: buffer.bytes).dropped
        #expect(lost4 == 2 && lost6 == 2)
        let rest = sender.flush4(through: nil, from: buffer.bytes).dropped
        #expect(rest == 0)
    }

    @Test(
        "stale sources and refused segments name the peer, in either family",
        arguments: [false, true])
    func peers(isIPv6: Bool) {
        var sender = makeSender()
        let buffer = PacketBuffer(byteCount: 8)
        for tag in [10, nil, 12, 13] as [UInt32?] { sender.append(transmit(tag, isIPv6: isIPv6)) }
        sender.append(transmit(99, isIPv6: !isIPv6))
        var sent = SendOutcome()
        sent.staleSources = 0b1011
        sent.segmentationFailure = SegmentationFailure(index: 2, code: 5, isOfPath: true)
        sent.drop(3, 5)
        if isIPv6 { script.outcomes6 = [sent] } else { script.outcomes4 = [sent] }
        var outcome =
            isIPv6
            ? sender.flush6(through: .v6, from: buffer.bytes)
            : sender.flush4(through: .v4, from: buffer.bytes)
        #expect(outcome.dropped == 3)
        #expect(outcome.refusal?.peer == PeerSlot(rawValue: 12))
        #expect(outcome.refusal?.isOfPath == true && outcome.refusal?.errno == 5)
        var stale: [UInt32] = []
        while let peer = sender.takeStalePeer(from: &outcome) { stale.append(peer.rawValue) }
        #expect(stale == [10, 13], "a message without a peer has no source to clear")
    }

    @Test("the sender is full when one family is", arguments: [false, true])
    func full(isIPv6: Bool) {
        var sender = makeSender()
        for _ in 0..<127 { sender.append(transmit(1, isIPv6: isIPv6)) }
        let isFull = sender.isFull
        sender.append(transmit(1, isIPv6: isIPv6))
        let isFullNow = sender.isFull
        #expect(!isFull && isFullNow)
    }
}
