import Synchronization
import Testing

@testable import WireGuard

@Suite("The five timers of a peer")
final class PeerTimersTests {
    let timers = PeerTimers()
    let none = Interval(nanoseconds: 0)

    init() {
        timers.isRunning.store(true, ordering: .relaxed)
    }

    func at(_ seconds: UInt64) -> Instant { Instant(nanoseconds: seconds * 1_000_000_000) }

    @Test("received data starts the keepalive once, and more data demands another")
    func sendKeepalive() {
        #expect(timers.dataReceived(now: at(1)) == .needed)
        #expect(timers.dataReceived(now: at(5)) == .notNeeded)
        #expect(timers.takeExpired(now: at(10)) == [])
        #expect(timers.takeExpired(now: at(11)) == .sendKeepalive)
        #expect(timers.takeExpired(now: at(12)) == [])
        #expect(timers.rearmKeepaliveIfOwed(now: at(11)) == .needed)
        #expect(timers.rearmKeepaliveIfOwed(now: at(11)) == .notNeeded)
        #expect(timers.nextDeadline == at(21))
        timers.anyAuthenticatedPacketSent()
        #expect(timers.nextDeadline == nil)
    }

    @Test("sent data starts the wait for an answer once, and any answer ends it")
    func newHandshake() {
        #expect(timers.dataSent(now: at(1), jitter: .milliseconds(100)) == .needed)
        #expect(timers.dataSent(now: at(9), jitter: none) == .notNeeded)
        #expect(timers.nextDeadline == at(16) + .milliseconds(100))
        timers.anyAuthenticatedPacketReceived()
        #expect(timers.nextDeadline == nil)
        _ = timers.dataSent(now: at(20), jitter: none)
        #expect(timers.takeExpired(now: at(35)) == .newHandshake)
    }

    @Test("each initiation restarts the wait for its response, and completion resets the count")
    func retransmit() {
        timers.handshakeAttempts.store(7, ordering: .relaxed)
        _ = timers.handshakeInitiated(now: at(1), jitter: none)
        _ = timers.handshakeInitiated(now: at(2), jitter: .milliseconds(333))
        #expect(timers.nextDeadline == at(7) + .milliseconds(333))
        timers.handshakeComplete()
        #expect(timers.nextDeadline == nil)
        #expect(timers.handshakeAttempts.load(ordering: .relaxed) == 0)
    }

    @Test("each session restarts the timer that wipes keys; giving up only starts it")
    func zeroKeyMaterial() {
        _ = timers.sessionDerived(now: at(1))
        _ = timers.sessionDerived(now: at(100))
        _ = timers.handshakeGivenUp(now: at(200))
        #expect(timers.nextDeadline == at(640))
        #expect(timers.takeExpired(now: at(640)) == .zeroKeyMaterial)
        _ = timers.handshakeGivenUp(now: at(700))
        #expect(timers.nextDeadline == at(1_240))
    }

    @Test("giving up cancels a due keepalive")
    func givingUp() {
        _ = timers.dataReceived(now: at(1))
        _ = timers.handshakeGivenUp(now: at(2))
        #expect(timers.nextDeadline == at(542))
    }

    @Test("the persistent keepalive counts from the last packet in either direction")
    func persistentKeepalive() {
        #expect(timers.anyAuthenticatedPacketTraversal(now: at(1)) == .notNeeded)
        #expect(timers.nextDeadline == nil)
        timers.persistentKeepaliveSeconds.store(65_535, ordering: .relaxed)
        _ = timers.anyAuthenticatedPacketTraversal(now: at(1))
        #expect(timers.nextDeadline == at(65_536))
        timers.persistentKeepaliveSeconds.store(25, ordering: .relaxed)
        _ = timers.anyAuthenticatedPacketTraversal(now: at(2))
        #expect(timers.nextDeadline == at(27))
        timers.persistentKeepaliveStopped()
        #expect(timers.nextDeadline == nil)
    }

    @Test("an event demands a wake-up only if the scheduled one is too late")
    func demands() {
        timers.wakeUp.store(at(12).nanoseconds, ordering: .relaxed)
        #expect(timers.dataReceived(now: at(1)) == .needed)
        timers.wakeUp.store(at(11).nanoseconds, ordering: .relaxed)
        #expect(timers.dataSent(now: at(2), jitter: none) == .notNeeded)
    }

    @Test("no timer starts while the interface is down, and taking it down stops all")
    func down() {
        timers.persistentKeepaliveSeconds.store(1, ordering: .relaxed)
        for _ in 0..<2 {
            _ = timers.dataReceived(now: at(1))
            _ = timers.dataSent(now: at(1), jitter: none)
            _ = timers.handshakeInitiated(now: at(1), jitter: none)
            _ = timers.sessionDerived(now: at(1))
            _ = timers.anyAuthenticatedPacketTraversal(now: at(1))
            timers.stopAll()
            #expect(timers.nextDeadline == nil)
            expect(timers.needsAnotherKeepalive.load(ordering: .relaxed), is: false)
        }
    }

    @Test("deadlines at the end of time, and at its start")
    func extremes() {
        _ = timers.sessionDerived(now: Instant(nanoseconds: .max))
        #expect(timers.takeExpired(now: at(1)) == [])
        #expect(timers.nextDeadline == nil)
        timers.stopAll()
        timers.isRunning.store(true, ordering: .relaxed)
        _ = timers.dataReceived(now: Instant(nanoseconds: 0))
        #expect(timers.nextDeadline == at(10))
    }
}
