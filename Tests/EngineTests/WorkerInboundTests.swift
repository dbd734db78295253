import Packets
import Testing
import WireGuardTestSupport

@testable import Engine
@testable import WireGuard

@Suite("Worker: from the sockets to the TUN")
struct WorkerInboundTests {
    let bench = Bench()

    private func packets(_ count: Int) -> [[UInt8]] {
        (0..<count).map { Bench.packet($0, back: true) }
    }

    private func receive(_ packets: [[UInt8]]) {
        bench.script.receives4.append(.messages(bench.fromBob(packets)))
    }

    @Test("packets are opened and written, from either family", arguments: [false, true])
    func writes(isIPv6: Bool) {
        bench.coalescing = []
        let messages = Script.Receive.messages(bench.fromBob(packets(3)))
        if isIPv6 {
            bench.script.receives6 = [messages]
        } else {
            bench.script.receives4 = [messages]
        }
        bench.run([isIPv6 ? .datagrams6 : .datagrams4])
        #expect(bench.script.written == packets(3))
        #expect(bench.script.limits == [32])
        #expect(bench.script.yields == 1, "the reader of datagrams gets a turn")
    }

    @Test("packets of one flow are written as one super-packet")
    func joins() {
        receive(packets(3))
        bench.run([.datagrams4])
        #expect(bench.script.written.count == 1)
    }

    @Test("a super-packet that the TUN refuses is written in packets, and none is built for 10 s")
    func refusedSuperPacket() {
        receive(packets(3))
        receive((3..<6).map { Bench.packet($0, back: true) })
        // The super-packet twice, then each packet separately. The second packet is refused twice.
        bench.script.writeResults = [.refused, .refused, .written, .failed(12), .failed(12)]
        bench.run([.datagrams4], [.datagrams4])
        let written = bench.script.written
        #expect(written.count == 2 + 4 + 3)
        #expect(Array(written.suffix(3)) == (3..<6).map { Bench.packet($0, back: true) })
        #expect(bench.script.reportNames == ["superPacketRefused", "cannotWait"])
        #expect(bench.alice.drops(.refusedWrite) == 1)
    }

    @Test("super-packets are built again after ten seconds")
    func resumes() {
        receive(packets(3))
        receive(packets(3).map { $0 })
        bench.script.writeResults = [.refused, .refused]
        bench.script.tick = 10_000_000_000
        bench.run([.datagrams4], [.datagrams4])
        #expect(bench.script.written.count == 2 + 3 + 1)
    }

    @Test(
        "a packet that is refused twice is counted",
        arguments: [PacketWriteResult.refused, .wouldBlock, .failed(12), .down])
    func refusedPacket(result: PacketWriteResult) {
        receive(packets(1))
        bench.script.writeResults = [result, result]
        bench.run([.datagrams4])
        #expect(bench.script.written.count == 2)
        #expect(bench.alice.drops(.refusedWrite) == 1)
        #expect(bench.script.reportNames == ["cannotWait"])
    }

    @Test("a packet that is refused once is not lost")
    func refusedOnce() {
        receive(packets(1))
        bench.script.writeResults = [.wouldBlock]
        bench.run([.datagrams4])
        #expect(bench.script.written == packets(1) + packets(1))
        #expect(bench.alice.drops(.refusedWrite) == 0)
    }

    @Test("all packets of a super-packet for an interface that is down are counted")
    func down() {
        receive(packets(3))
        bench.script.writeResults = [.down, .down]
        bench.run([.datagrams4])
        #expect(bench.script.written.count == 2)
        #expect(bench.alice.drops(.refusedWrite) == 3)
    }

    @Test("if memory is short a super-packet is written in packets, and building continues")
    func scarce() {
        receive(packets(3))
        bench.script.writeResults = [.failed(12), .failed(12)]
        bench.run([.datagrams4])
        #expect(bench.script.written.count == 5)
        #expect(bench.script.reportNames == ["cannotWait"])
    }

    @Test("a TUN that is gone ends the worker")
    func gone() {
        receive(packets(1))
        bench.script.writeResults = [.gone]
        bench.run([.datagrams4], [.datagrams4])
        #expect(bench.mailbox.hasEnded)
        #expect(bench.script.written.count == 1)
        #expect(bench.script.waits.count == 1)
    }

    @Test("a failing receive is tried again: reported once in ten seconds, with pauses")
    func failing() {
        bench.script.receives4 = Array(repeating: .failed(12), count: 12)
        bench.runAll(Array(repeating: [.datagrams4], count: 12))
        #expect(bench.script.reportNames == ["cannotReceive 12", "cannotWait"])
        #expect(bench.script.pauses == [10_000_000, 10_000_000])
    }

    @Test("a receive that succeeds ends a series of failures")
    func recovers() {
        bench.script.receives4 = Array(repeating: .failed(12), count: 10)
        receive(packets(1))
        bench.script.receives4.append(.failed(12))
        bench.runAll(Array(repeating: [.datagrams4], count: 12))
        #expect(bench.script.pauses.isEmpty)
    }

    @Test("events of a socket that is not there do nothing")
    func missing() {
        bench.run(sockets: nil, [.datagrams4], [.datagrams6])
        #expect(bench.script.limits.isEmpty)
    }

    @Test("a handshake message wakes the control thread")
    func handshake() {
        let initiation: [UInt8] = [1, 0, 0, 0] + Array(repeating: 0, count: 144)
        bench.script.receives4 = [
            .messages([UDPArrival(bytes: initiation, remote: bench.pair.bob.address)])
        ]
        bench.run([.datagrams4])
        #expect(bench.script.wakeUps == 2)
        #expect(bench.script.written.isEmpty)
    }

    @Test("a busy loop of empty wake-ups is slowed down, one of junk datagrams is not")
    func spinning() {
        bench.script.tick = 1000
        bench.runAll(Array(repeating: [.datagrams4], count: 99))
        #expect(bench.script.pauses.isEmpty)
        bench.runAll(Array(repeating: [.datagrams4], count: 100))
        #expect(bench.script.pauses == [1_000_000])
    }
}
