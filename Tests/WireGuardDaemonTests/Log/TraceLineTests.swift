import Packets
import Testing
import WireGuard
import WireGuardCrypto

@testable import WireGuardDaemon

@Suite("Trace lines")
struct TraceLineTests {
    private let key: PublicKey
    private let index = ReceiverIndex(rawValue: 0xAB)
    private let remote = SocketAddress(
        address: .v4(IPv4Address(bits: 0x0A00_0001)), port: 51_820)
    /// The key as it is logged: the ends of its base64 text.
    private let peer = "peer(q6ur…rq6s)"

    init() throws {
        let bytes = [UInt8](repeating: 0xAB, count: 32)
        // Bytes have no padding.
        key = try #require(PublicKey(bytes: unsafe bytes.span.bytes))
    }

    @Test("events name the peer, the index and the remote")
    func events() {
        let lines: [(TraceEvent, String)] = [
            (
                .initiationSent(key, index, .packetsWait),
                "sent initiation 000000ab: packets are waiting for a session"
            ),
            (
                .initiationConsumed(key, index, remote),
                "accepted an initiation from 10.0.0.1:51820, sent response 000000ab"
            ),
            (
                .responseConsumed(key, index, remote),
                "accepted the response to 000000ab from 10.0.0.1:51820"
            ),
            (.keypairRotated(key, index), "keypair 000000ab is now current"),
            (
                .handshakeGivenUp(key, attempts: 18),
                "gave up the handshake after 18 retries"
            ),
            (.noAnswer(key), "no answer for 15 s"),
            (.keysWiped(key), "wiped all keys: they expired"),
            (
                .cookieReplyConsumed(key, index),
                "received a cookie for 000000ab: the peer is under load"
            ),
        ]
        for (event, line) in lines { #expect(event.line == "\(peer): \(line)") }
    }

    @Test("each cause of an initiation is worded differently")
    func causes() {
        let causes: [InitiationCause] = [
            .packetsWait, .keepaliveDue, .keyIsOld, .keyExpiresSoon, .noAnswer, .retry(3),
        ]
        let lines = causes.map { TraceEvent.initiationSent(key, index, $0).line }
        #expect(Set(lines).count == causes.count)
        #expect(lines[5].hasSuffix(": no response to the previous one, attempt 3"))
    }

    @Test("a drop gives its reason and all that is known")
    func drop() {
        #expect(
            TraceEvent.dropped(Drop(.unknownIndex)).line
                == "dropped a packet: unknown receiver index")
        let inner = IPAddress.v4(IPv4Address(bits: 0x0102_0304))
        let full = Drop(
            .disallowedSource, peer: key, index: index, remote: remote, inner: inner, packets: 2)
        #expect(
            TraceEvent.dropped(full).line
                == "dropped 2 packets: its inner source is not in the peer's allowed IPs (1.2.3.4), \(peer), index 000000ab, from 10.0.0.1:51820"
        )
    }

    @Test("each reason of a drop is worded differently")
    func reasons() {
        let lines = DropReason.allCases.map { TraceEvent.dropped(Drop($0)).line }
        #expect(Set(lines).count == lines.count)
    }

    @Test("the error of a handshake message is given instead of the general reason")
    func handshakeErrors() {
        let lines = HandshakeError.allCases.map {
            TraceEvent.dropped(Drop(.invalidHandshake, handshakeError: $0)).line
        }
        #expect(Set(lines).count == lines.count)
        #expect(!lines.contains(TraceEvent.dropped(Drop(.invalidHandshake)).line))
    }

    @Test("drops beyond the limit are counted in one line")
    func leftOut() {
        #expect(
            TraceEvent.leftOut(7, .unknownIndex, nil).line
                == "dropped 7 more, not listed: unknown receiver index")
        #expect(
            TraceEvent.leftOut(7, .invalidHandshake, .tooSoon).line
                == "dropped 7 more, not listed: initiation too soon after the previous one")
    }
}
