import Testing
import WireGuard
import WireGuardTestSupport

@Suite("First contact")
struct FirstContactTests {
    @Test("a packet starts a session and arrives, and so does the answer")
    func bothWays() throws {
        let network = Network()
        let pair = network.makePair()
        let question = InnerPacket.udp4(from: 1, to: 2)
        let answer = InnerPacket.udp6(from: 2, to: 1)
        pair.alice.send(question)
        network.settle()
        #expect(pair.bob.received == [question])
        pair.bob.send(answer)
        network.settle()
        #expect(pair.alice.received == [answer])
        #expect(network.eve.seen.map(\.type) == [1, 2, 4, 4])
    }
}
