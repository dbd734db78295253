import Packets
import Testing
import WireGuardCrypto

@testable import WireGuard

@Suite("Cookies match the vectors")
struct CookieVectorTests {
    static let cases = VectorFile("cookie.json").cases

    /// Returns the vector's values in order: the cookie secret, then the nonce.
    struct Script: RandomSource {
        var answers: [[UInt8]]

        mutating func fill(_ bytes: inout MutableRawSpan) {
            let answer = answers.removeFirst()
            precondition(answer.count == bytes.byteCount)
            for (index, byte) in answer.enumerated() { bytes.store(byte: byte, at: index) }
        }
    }

    @Test("the reply, and the initiation sent with the cookie", arguments: cases)
    func reply(_ vector: VectorFile.Case) {
        let now = Instant(nanoseconds: 1)
        let responder = publicKey(vector.bytes("responderStaticPublic"))
        let initiation = vector.bytes("initiation")
        let source = address(vector.bytes("source"))
        var checker = CookieChecker(publicKey: responder)
        #expect(withMACs(initiation) { checker.hasValidMAC1($0) })

        var script = Script(answers: [vector.bytes("cookieSecret"), vector.bytes("nonce")])
        var reply = [UInt8](repeating: 0, count: CookieReply.byteCount)
        var span = reply.mutableSpan
        // Bytes have no padding.
        var bytes = unsafe span.mutableBytes
        withMACs(initiation) {
            checker.makeReply(
                to: $0, sender: ReceiverIndex(rawValue: UInt32(vector.number("receiverIndex"))),
                from: source, now: now, random: &script, into: &bytes)
        }
        #expect(reply == vector.bytes("cookieReply"))

        var latest = LatestCookie(publicKey: responder)
        var again = initiation
        // Records the mac1 that the reply must answer.
        again.edit { latest.addMACs(to: &$0, now: now) }
        #expect(again == initiation)
        let isConsumed = consume(reply, by: &latest, at: now)
        #expect(isConsumed)
        again.edit { latest.addMACs(to: &$0, now: now) }
        #expect(again == vector.bytes("retriedInitiation"))
        #expect(withMACs(again) { checker.hasValidMAC2($0, from: source, now: now) })
    }

    private func address(_ bytes: [UInt8]) -> SocketAddress {
        withBytes(bytes) { bytes in
            let end = bytes.byteCount - 2
            let address: IPAddress =
                end == 4
                ? .v4(IPv4Address(bits: bytes.loadBigEndian(at: 0, as: UInt32.self)))
                : .v6(
                    IPv6Address(
                        high: bytes.loadBigEndian(at: 0, as: UInt64.self),
                        low: bytes.loadBigEndian(at: 8, as: UInt64.self)))
            return SocketAddress(
                address: address, port: bytes.loadBigEndian(at: end, as: UInt16.self))
        }
    }
}
