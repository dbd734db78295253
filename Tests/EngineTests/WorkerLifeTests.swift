import Packets
import Testing

@testable import Engine
@testable import WireGuard

@Suite("Worker: mail, waiting, end")
struct WorkerLifeTests {
    let bench = Bench()

    @Test("mail to stop ends the worker and wakes the control thread")
    func stop() {
        bench.mailbox.stop()
        bench.run(sockets: nil, [.mail, .packets], [.packets])
        #expect(bench.signals.wakeUps == 1)
        #expect(bench.mailbox.hasEnded)
        #expect(bench.script.acknowledged == 1)
        #expect(bench.script.wakeUps == 1)
        #expect(bench.script.waits.count == 1)
        #expect(bench.script.reports.isEmpty)
    }

    @Test("new sockets are used and confirmed")
    func sockets() {
        bench.mailbox.send(FakeSockets(socket6: nil))
        #expect(bench.mailbox.holdsOldSockets)
        bench.mailbox.send(FakeSockets(socket4: nil))
        var worker = Worker(
            port: FakePort(script: bench.script),
            sender: DualStackSender(
                FakeSender(bench.script, .v4), FakeSender(bench.script, .v6)),
            receiver: FakeReceiver(bench.script), host: FakeHost(bench.script),
            mailbox: bench.mailbox, shared: bench.alice.device.shared, coalescing: [],
            usesSegmentation: true, jitterSeed: 1)
        bench.script.waits = [[.mail], [.mail]]
        var held: [Bool] = []
        bench.script.onWait = { held.append(bench.mailbox.holdsOldSockets) }
        worker.run()
        #expect(bench.script.listened == [FakeSockets(socket4: nil)], "the first was replaced")
        #expect(held == [true, false, false], "confirmed with the first mail")
        #expect(worker.socket4 == nil && worker.socket6 == .v6)
    }

    @Test("sockets that cannot be waited on are reported, and used for sending")
    func cannotListen() {
        bench.script.listenFails = true
        bench.script.deliver([Bench.packet(1)])
        bench.run([.packets])
        #expect(bench.script.reportNames == ["cannotListen", "cannotWait"])
        #expect(bench.script.sent4.count == 1)
        #expect(!bench.mailbox.holdsOldSockets)
    }

    @Test("a worker that cannot wait reports it and ends")
    func cannotWait() {
        bench.run(sockets: nil)
        #expect(bench.script.reportNames == ["cannotWait"])
        #expect(bench.mailbox.hasEnded)
        #expect(bench.script.wakeUps == 1)
    }

    @Test("a worker that has ended holds no sockets")
    func endedHoldsNone() {
        bench.run(sockets: nil)
        bench.mailbox.send(FakeSockets())
        #expect(!bench.mailbox.holdsOldSockets)
    }

    @Test("after a turn with much data the worker polls before it sleeps")
    func polls() {
        let big = (0..<30).map { Bench.packet($0, byteCount: 1400) }
        bench.script.deliver(big)
        bench.script.polls = [[]]
        bench.run([.packets], [.packets])
        #expect(bench.script.polls.isEmpty)
        #expect(bench.script.yields == 2, "one for the sender, one before sleeping")
    }

    @Test("events that a poll finds are handled without a wait")
    func pollFinds() {
        bench.script.deliver((0..<30).map { Bench.packet($0, byteCount: 1400) })
        bench.script.reads.append(.wouldBlock)
        bench.script.deliver([Bench.packet(99)])
        bench.script.polls = [[.packets]]
        bench.run([.packets])
        #expect(bench.atBob(bench.script.sent4).count == 31)
    }
}
