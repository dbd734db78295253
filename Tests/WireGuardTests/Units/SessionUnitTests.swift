import Packets
import Synchronization
import Testing
import WireGuardCrypto

@testable import WireGuard

@Suite("Keypairs, limits, messages and clocks")
struct SessionUnitTests {
    func makeKeypair(_ role: Keypair.Role = .initiator, created: Instant = .after(1)) -> Keypair {
        Keypair(
            peer: PeerSlot(rawValue: 0), role: role, localIndex: ReceiverIndex(rawValue: 1),
            remoteIndex: ReceiverIndex(rawValue: 2), created: created,
            sending: SymmetricKey(Secret32()), receiving: SymmetricKey(Secret32()))
    }

    @Test("messages have the lengths of the paper")
    func lengths() {
        #expect(HandshakeInitiation.byteCount == 148)
        #expect(HandshakeResponse.byteCount == 92)
        #expect(CookieReply.byteCount == 64)
        #expect(TransportData.overhead == 32)
        #expect(HandshakeInitiation.Offset.mac1 == 116 && HandshakeInitiation.Offset.mac2 == 132)
        #expect(HandshakeResponse.Offset.mac1 == 60 && HandshakeResponse.Offset.mac2 == 76)
        #expect(TransportData.packet == 16)
    }

    @Test("types for packets, peers and sessions stay small")
    func layout() {
        #expect(MemoryLayout<UDPTransmit<SegmentRange>>.stride <= 80)
        #expect(MemoryLayout<UDPArrival<SegmentRange>>.stride <= 80)
        #expect(MemoryLayout<SharedPeer>.size <= 256)
        // The bits of the replay window are 1 KiB of it.
        #expect(MemoryLayout<Keypair>.size <= 1_200)
    }

    @Test("each counter is reserved once, up to the limit")
    func counters() {
        let keypair = makeKeypair()
        expect(keypair.reserveCounters(1), is: 0)
        expect(keypair.reserveCounters(127), is: 1)
        expect(keypair.reserveCounters(1), is: 128)
        let limit = Constants.rejectAfterMessages
        keypair.skipCounters(to: limit - 128)
        expect(keypair.reserveCounters(129), is: nil)
        #expect(keypair.reserveCounters(128) == limit - 128)
        expect(keypair.reserveCounters(1), is: nil)
        for counter in [limit, limit + 1, .max] {
            keypair.skipCounters(to: counter)
            expect(keypair.reserveCounters(1), is: nil)
        }
        #expect(limit == 18_446_744_073_709_543_423)
    }

    @Test("only the initiator rekeys because of age, both because of the number of messages")
    func renewal() {
        for (role, renews) in [(Keypair.Role.initiator, true), (.responder, false)] {
            let keypair = makeKeypair(role, created: .after(1))
            expect(keypair.needsRekeyAfterSending(now: .after(120.999)), is: false)
            expect(keypair.needsRekeyAfterSending(now: .after(121)), is: renews)
            expect(keypair.takeRekeyOnReceive(now: .after(165.999)), is: false)
            expect(keypair.takeRekeyOnReceive(now: .after(166)), is: renews)
            expect(keypair.takeRekeyOnReceive(now: .after(167)), is: false, "once a key")
            expect(keypair.isExpired(now: .after(180.999)), is: false)
            expect(keypair.isExpired(now: .after(181)), is: true)
            expect(keypair.isExpired(now: .after(0)), is: false, "a clock behind it")
        }
        let keypair = makeKeypair(.responder)
        keypair.skipCounters(to: 1 << 60)
        expect(keypair.needsRekeyAfterSending(now: .after(2)), is: false)
        keypair.skipCounters(to: 1 << 60 + 1)
        expect(keypair.needsRekeyAfterSending(now: .after(2)), is: true)
        let old = makeKeypair()
        old.maySend.store(false, ordering: .relaxed)
        expect(old.takeRekeyOnReceive(now: .after(170)), is: false)
    }

    @Test("the rotation of keypairs in all orders of events")
    func rotation() {
        var keypairs = Keypairs()
        expect(keypairs.insert(1, role: .initiator), is: [])
        expect(keypairs.all, is: [1])
        expect(keypairs.insert(2, role: .initiator), is: [])
        expect([keypairs.current, keypairs.previous, keypairs.next], is: [2, 1, nil])
        expect(keypairs.insert(3, role: .responder), is: [1])
        expect([keypairs.current, keypairs.previous, keypairs.next], is: [2, nil, 3])
        expect(keypairs.insert(4, role: .responder), is: [3])
        expect(keypairs.confirmNext(), is: [])
        expect([keypairs.current, keypairs.previous, keypairs.next], is: [4, 2, nil])
        expect(keypairs.confirmNext(), is: [])
        expect(keypairs.insert(5, role: .responder), is: [2])
        // The peer may send under its own new keypair, or under the current one until it receives a
        // message under ours: both are kept.
        expect(keypairs.insert(6, role: .initiator), is: [])
        expect([keypairs.current, keypairs.previous, keypairs.next], is: [6, 5, nil])
        expect(keypairs.all, is: [6, 5, 4])
        expect(keypairs.insert(7, role: .responder), is: [5, 4])
        expect(keypairs.insert(8, role: .initiator), is: [])
        expect(keypairs.removeAll(), is: [8, 7, 6])
        expect(keypairs.all, is: [])
    }

    @Test("a peer has at most three keypairs")
    func rotationModel() {
        var random = SeededGenerator(seed: 4)
        var keypairs = Keypairs()
        var alive: Set<UInt32> = []
        for slot in 0..<5_000 as Range<UInt32> {
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<4:
                alive.insert(slot)
                alive.subtract(keypairs.insert(slot, role: .initiator))
            case 4..<8:
                alive.insert(slot)
                alive.subtract(keypairs.insert(slot, role: .responder))
            case 8: alive.subtract(keypairs.confirmNext())
            default: alive.subtract(keypairs.removeAll())
            }
            #expect(Set(keypairs.all) == alive)
            #expect(keypairs.all.count == alive.count && alive.count <= 3)
        }
    }

    @Test("a token bucket lets its burst through, then its rate, and never more")
    func tokenBucket() {
        var bucket = TokenBucket(perSecond: 100, burst: 50)
        func takeAll(at now: Instant) -> Int {
            var count = 0
            while bucket.take(now: now) { count += 1 }
            return count
        }
        expect(takeAll(at: .after(100)), is: 50)
        expect(takeAll(at: .after(100.009)), is: 0)
        expect(takeAll(at: .after(100.01)), is: 1)
        expect(takeAll(at: .after(100.1)), is: 9)
        expect(takeAll(at: .after(1)), is: 0, "a clock that was set back")
        expect(takeAll(at: .after(100.1)), is: 0)
        expect(takeAll(at: Instant(nanoseconds: .max)), is: 50)
    }

    @Test("jitter stays below a third of a second, and varies")
    func jitter() {
        for seed in [0, 1, 2, .max] as [UInt64] {
            var source = JitterSource(seed: seed)
            let values = (0..<1_000).map { _ in source.next() }
            #expect(values.allSatisfy { $0 <= .milliseconds(333) })
            #expect(values.contains { $0 > .milliseconds(300) })
            #expect(Set(values).count > 990)
        }
    }

    @Test("the device's time never goes back, and continues after a step")
    func steadyTime() {
        let clock = SteadyClock()
        var reader = SteadyClock.Reader()
        func time(_ seconds: Double) -> Instant { clock.time(at: .after(seconds), for: &reader) }
        #expect(time(100) == .after(100))
        #expect(time(99.5) == .after(100), "two processors whose clocks differ")
        #expect(time(100.5) == .after(100.5))
        #expect(time(10) == .after(100.5))
        #expect(time(11) == .after(101.5))
        #expect(clock.reading(at: .after(101.5)) == .after(11))
        #expect(time(5) == .after(101.5))
        #expect(time(6) == .after(102.5))
        #expect(clock.reading(at: .after(1)) == .after(0))
    }

    @Test("a thread that is slow does not move the device's time; a step moves it once for all")
    func slowThread() {
        let clock = SteadyClock()
        var quick = SteadyClock.Reader()
        var slow = SteadyClock.Reader()
        #expect(clock.time(at: .after(100), for: &slow) == .after(100))
        #expect(clock.time(at: .after(1_000), for: &quick) == .after(1_000))
        #expect(clock.time(at: .after(101), for: &slow) == .after(1_000), "read 899 s ago")
        #expect(clock.time(at: .after(101), for: &slow) == .after(1_000), "and used once more")
        #expect(clock.reading(at: .after(1_000)) == .after(1_000))
        #expect(clock.time(at: .after(1_001), for: &slow) == .after(1_001))
        #expect(clock.time(at: .after(1_000.5), for: &quick) == .after(1_001))

        // Both see the same step.
        #expect(clock.time(at: .after(10), for: &slow) == .after(1_001))
        #expect(clock.time(at: .after(10), for: &quick) == .after(1_001))
        #expect(clock.time(at: .after(11), for: &slow) == .after(1_002))
        #expect(clock.time(at: .after(12), for: &quick) == .after(1_003))
        #expect(clock.reading(at: .after(1_003)) == .after(12))
    }

    @Test("a thread that has not read the clock for long notices a step with its second reading")
    func idleThread() {
        let clock = SteadyClock()
        var busy = SteadyClock.Reader()
        var idle = SteadyClock.Reader()
        _ = clock.time(at: .after(100), for: &idle)
        _ = clock.time(at: .after(1_000), for: &busy)
        #expect(clock.time(at: .after(500), for: &idle) == .after(1_000))
        #expect(clock.time(at: .after(501), for: &idle) == .after(1_000))
        #expect(clock.time(at: .after(502), for: &idle) == .after(1_001))
        #expect(clock.time(at: .after(502.5), for: &busy) == .after(1_001.5))
    }
}
