import Testing

@testable import Engine

@Suite("Pacing")
struct PacingTests {
    /// Events, and what must follow the last of them.
    struct Row: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var events: [Pacing.Event]
        var step: Pacing.Step

        init(_ name: String, _ events: [Pacing.Event], _ step: Pacing.Step) {
            testDescription = name
            self.events = events
            self.step = step
        }
    }

    private static func datagrams(_ bytes: Int) -> Pacing.Event {
        .received(messages: 1, byteCount: bytes, innerUDPBytes: bytes)
    }

    private static func others(_ bytes: Int) -> Pacing.Event {
        .received(messages: 1, byteCount: bytes, innerUDPBytes: 0)
    }

    static let rows = [
        Row("a device that is up is read from", [.readable(isUp: true)], .proceed),
        Row(
            "a device that is down is waited for", [.readable(isUp: false)],
            .rest(nanoseconds: 1_000_000)),
        Row(
            "a device that is down is waited for 1000 times",
            Array(repeating: .readable(isUp: false), count: 1000), .rest(nanoseconds: 1_000_000)),
        Row(
            "then its packets are read and dropped",
            Array(repeating: .readable(isUp: false), count: 1001), .proceed),
        Row(
            "being up starts the count again",
            Array(repeating: .readable(isUp: false), count: 1000)
                + [.readable(isUp: true), .readable(isUp: false)], .rest(nanoseconds: 1_000_000)),
        Row(
            "a turn that read a datagram yields",
            [
                .readable(isUp: true), .read(byteCount: 100, isInnerUDP: true),
                .read(byteCount: 100, isInnerUDP: false), .endedReading,
            ], .yield),
        Row(
            "a turn that read none does not",
            [.readable(isUp: true), .read(byteCount: 100, isInnerUDP: false), .endedReading],
            .proceed),
        Row(
            "datagrams of the turn before do not count",
            [
                .readable(isUp: true), .read(byteCount: 100, isInnerUDP: true), .endedReading,
                .readable(isUp: true), .endedReading,
            ], .proceed),
        Row("15 datagrams are written without a yield", [.wroteInnerUDP(15)], .proceed),
        Row(
            "16 datagrams are followed by a yield", [.wroteInnerUDP(15), .wroteInnerUDP(1)],
            .yield),
        Row(
            "after a yield the count starts again", [.wroteInnerUDP(16), .wroteInnerUDP(15)],
            .proceed),
        Row(
            "the rest of the datagrams is followed by a yield at the end of the turn",
            [.receivable, .wroteInnerUDP(1), datagrams(100), .endedReceiving(isEmpty: true)],
            .yield),
        Row(
            "a turn without datagrams does not yield",
            [.receivable, others(100), .endedReceiving(isEmpty: true)], .proceed),
        Row(
            "10 000 bytes of datagrams are the least that a rest follows",
            [.receivable, datagrams(10_000), .endedReceiving(isEmpty: true)],
            .rest(nanoseconds: 0)),
        Row(
            "fewer are not followed by a rest",
            [.receivable, datagrams(9999), .endedReceiving(isEmpty: true)], .proceed),
        Row(
            "a rest is 5 ns a byte, less 50 µs",
            [.receivable, datagrams(20_000), .endedReceiving(isEmpty: true)],
            .rest(nanoseconds: 50_000)),
        Row(
            "no rest is longer than 200 µs",
            [.receivable, datagrams(250_000), .endedReceiving(isEmpty: true)],
            .rest(nanoseconds: 150_000)),
        Row(
            "no rest while the socket has more",
            [.receivable, datagrams(20_000), .endedReceiving(isEmpty: false)], .proceed),
        Row(
            "the bytes of turns without a rest add up",
            [
                .receivable, datagrams(10_000), .endedReceiving(isEmpty: false), .receivable,
                datagrams(10_000), .endedReceiving(isEmpty: true),
            ], .rest(nanoseconds: 50_000)),
        Row(
            "no rest if half of the bytes are something else",
            [.receivable, datagrams(20_000), others(20_000), .endedReceiving(isEmpty: true)],
            .proceed),
        Row(
            "what was read from the TUN counts as something else",
            [
                .readable(isUp: true), .read(byteCount: 20_000, isInnerUDP: true), .endedReading,
                .receivable, datagrams(20_000), .endedReceiving(isEmpty: true),
            ], .proceed),
        Row(
            "a turn that empties the socket starts the sums again",
            [
                .receivable, others(20_000), .endedReceiving(isEmpty: true), .receivable,
                datagrams(20_000), .endedReceiving(isEmpty: true),
            ], .rest(nanoseconds: 50_000)),
        Row(
            "a rest counts as a yield",
            [
                .receivable, .wroteInnerUDP(15), datagrams(20_000),
                .endedReceiving(isEmpty: true), .wroteInnerUDP(15),
            ], .proceed),
        Row("an idle worker sleeps at once", [.willWait], .proceed),
        Row(
            "32 KiB are followed by a poll", [.receivable, others(32 << 10), .willWait], .yield),
        Row("less is not", [.receivable, others((32 << 10) - 1), .willWait], .proceed),
        Row(
            "both directions count",
            [
                .receivable, others(16 << 10), .readable(isUp: true),
                .read(byteCount: 16 << 10, isInnerUDP: false), .willWait,
            ], .yield),
        Row(
            "only once for the same bytes", [.receivable, others(32 << 10), .willWait, .willWait],
            .proceed),
    ]

    @Test("a step follows from the events before it", arguments: rows)
    func step(row: Row) {
        var pacing = Pacing()
        var step = Pacing.Step.proceed
        for event in row.events { step = pacing.handle(event) }
        #expect(step == row.step)
    }

    @Test("a turn has 64 reads or 8 receives, or 256 KiB")
    func turns() {
        var pacing = Pacing()
        var reads = 0
        _ = pacing.handle(.readable(isUp: true))
        #expect(pacing.isFirstCall)
        while pacing.mayRead {
            _ = pacing.handle(.read(byteCount: 100, isInnerUDP: false))
            reads += 1
        }
        #expect(reads == 64)
        #expect(!pacing.isFirstCall)
        _ = pacing.handle(.receivable)
        #expect(pacing.isFirstCall)
        var receives = 0
        while pacing.mayReceive {
            _ = pacing.handle(Self.others(100))
            receives += 1
        }
        #expect(receives == 8)
        _ = pacing.handle(.receivable)
        _ = pacing.handle(Self.others((256 << 10) - 1))
        #expect(pacing.mayReceive && pacing.mayRead)
        _ = pacing.handle(Self.others(1))
        #expect(!pacing.mayReceive && !pacing.mayRead)
    }

    @Test("a receive takes 32 small messages, 8 large ones, 2 with datagrams")
    func limits() {
        var pacing = Pacing()
        #expect(pacing.receiveLimit == 32)
        _ = pacing.handle(.received(messages: 2, byteCount: 16_385, innerUDPBytes: 0))
        #expect(pacing.receiveLimit == 8)
        _ = pacing.handle(.received(messages: 2, byteCount: 16_385, innerUDPBytes: 8193))
        #expect(pacing.receiveLimit == 2)
        _ = pacing.handle(.received(messages: 2, byteCount: 16_385, innerUDPBytes: 8192))
        #expect(pacing.receiveLimit == 8)
        _ = pacing.handle(.received(messages: 2, byteCount: 16_384, innerUDPBytes: 16_384))
        #expect(pacing.receiveLimit == 32)
    }
}
