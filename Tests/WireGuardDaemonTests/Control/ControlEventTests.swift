import LinuxIO
import Testing

@testable import WireGuardDaemon

@Suite("Control events")
struct ControlEventTests {
    private static let events: [ControlEvent] = [
        .signal, .timer, .wakeUp, .link, .routes, .listener, .socketFile,
        .client(StreamClientID(rawValue: 0)), .client(StreamClientID(rawValue: 1)),
        .client(StreamClientID(rawValue: 1 << 40)),
    ]

    @Test("each event has a token of its own, which names it")
    func tokens() {
        for event in Self.events { #expect(ControlEvent(token: event.token) == event) }
        #expect(Set(Self.events.map(\.token)).count == Self.events.count)
    }

    @Test("other tokens name no event", arguments: [7, 8, (1 << 32) - 1] as [UInt64])
    func unknownTokens(token: UInt64) {
        #expect(ControlEvent(token: token) == nil)
    }

    @Test("no client number traps")
    func largestNumber() {
        let event = ControlEvent.client(StreamClientID(rawValue: .max))
        _ = ControlEvent(token: event.token)
    }
}
