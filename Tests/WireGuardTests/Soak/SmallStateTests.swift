import Packets
import Synchronization
import Testing
import WireGuardCrypto
import WireGuardTestSupport

@testable import WireGuard

@Suite("A peer cannot make state grow")
struct SmallStateTests {
    static let initiations = scaled(
        release: scaled(long: 1_000_000, short: 100_000), debug: 1_500)

    @Test(
        "100 000 valid initiations (--long: a million; debug: 1500) from one peer leave at most four indices"
    )
    func initiations() throws {
        let network = Network()
        network.eve.remembers = false
        let pair = network.makePair()
        let device = pair.bob.tunnel.device
        var caller = try Caller(pair.alice, calling: pair.bob.publicKey)
        let start = pair.bob.now
        var responses = 0
        var capacity: [Int]?
        for number in 0..<Self.initiations {
            // 25 ms apart: within 20 ms they are refused.
            let now = start.later(by: .milliseconds(UInt64(number) * 25))
            let message = try caller.initiation(UInt32(truncatingIfNeeded: number), at: now)
            pair.bob.tunnel.handleDatagram(message, from: pair.alice.address, now: now)
            while let datagram = pair.bob.tunnel.nextDatagram() {
                if datagram.bytes[0] == 2 { responses += 1 }
            }
            while pair.bob.tunnel.nextEvent() != nil {}
            if pair.bob.indexCount > 4 || device.tables.keypairs.count > 3 {
                Issue.record("\(pair.bob.indexCount) indices after \(number) initiations")
                return
            }
            if number == 10 { capacity = Footprint(pair.bob).capacity }
        }
        #expect(responses == Self.initiations)
        #expect(Footprint(pair.bob).capacity == capacity)
        #expect(device.handshakes.isEmpty && device.peersByKey.count == 1)
        #expect(device.tables.keypairs.capacity == 64 && device.tables.indices.capacity == 64)
        #expect(device.limiter.count == 0, "no load, no bucket")
    }

    @Test("20 000 initiations (debug: 500) do not grow the memory of the process")
    func memory() async {
        await #expect(processExitsWith: .success) {
            let pair = Network().makePair()
            pair.network.eve.remembers = false
            var caller = try Caller(pair.alice, calling: pair.bob.publicKey)
            var now = pair.bob.now
            var number: UInt32 = 0
            func call(_ times: Int) throws {
                for _ in 0..<times {
                    now = now.later(by: .milliseconds(25))
                    number += 1
                    let message = try caller.initiation(number, at: now)
                    pair.bob.tunnel.handleDatagram(message, from: pair.alice.address, now: now)
                    while pair.bob.tunnel.nextDatagram() != nil {}
                    while pair.bob.tunnel.nextEvent() != nil {}
                }
            }
            let round = scaled(release: 10_000, debug: 250)
            try call(round)
            let before = (residentPages(), SecretSlab.shared.slotsInUse)
            try call(round)
            precondition(residentPages() - before.0 <= 64, "256 KiB more")
            precondition(SecretSlab.shared.slotsInUse == before.1, "keys are left behind")
        }
    }

    @Test("when 65 536 sources have a bucket, only new sources are refused")
    func fullLimiter() throws {
        var limiter = HandshakeRateLimiter()
        let now = Instant.after(100)
        for source in 0..<HandshakeRateLimiter.capacity {
            let address = IPAddress.v6(IPv6Address(high: UInt64(source) << 16, low: 1))
            expect(limiter.admits(address, now: now), is: true)
        }
        for source in HandshakeRateLimiter.capacity..<2 * HandshakeRateLimiter.capacity {
            let address = IPAddress.v6(IPv6Address(high: UInt64(source) << 16, low: 1))
            expect(limiter.admits(address, now: now), is: false)
        }
        #expect(limiter.count == 65_536)

        // Through a device under load: a valid cookie, but from one source too many.
        let pair = Network().makePair()
        let device = pair.bob.tunnel.device
        let moment = pair.bob.now
        for source in 0..<HandshakeRateLimiter.capacity {
            let address = IPAddress.v6(IPv6Address(high: UInt64(source) << 16, low: 1))
            expect(device.limiter.admits(address, now: moment.instant.steady), is: true)
        }
        var caller = try Caller(pair.alice, calling: pair.bob.publicKey)
        func call(_ number: UInt32) throws -> [UInt8] {
            pair.bob.overload()
            let message = try caller.initiation(number, at: moment)
            pair.bob.tunnel.handleDatagram(message, from: pair.alice.address, now: moment)
            pair.bob.tunnel.handleTimeout(now: moment)
            var types: [UInt8] = []
            while let datagram = pair.bob.tunnel.nextDatagram() {
                types.append(datagram.bytes[0])
                if datagram.bytes[0] == 3 { caller.take(datagram.bytes, at: moment) }
            }
            return types
        }
        #expect(try call(1) == [3], "a cookie")
        let refused = device.drops(.overRate)
        #expect(try call(2) == [], "nothing: the table is full")
        #expect(device.drops(.overRate) > refused)
        #expect(device.limiter.count == 65_536)
    }
}

/// Creates valid initiations from a host, each with its own ephemeral key and time.
private struct Caller: ~Copyable {
    private let identity: StaticIdentity
    private let staticStatic: StaticStatic
    private let responder: PublicKey
    private var cookie: LatestCookie

    init(_ host: Host, calling responder: PublicKey) throws {
        identity = StaticIdentity(privateKey(hexBytes(host.privateKey)))
        staticStatic = try StaticStatic(identity, responder)
        self.responder = responder
        cookie = LatestCookie(publicKey: responder)
    }

    mutating func take(_ reply: [UInt8], at moment: Moment) {
        _ = consume(reply, by: &cookie, at: moment.instant.steady)
    }

    mutating func initiation(_ number: UInt32, at moment: Moment) throws -> [UInt8] {
        var message = [UInt8](repeating: 0, count: HandshakeInitiation.byteCount)
        try message.edit { bytes throws(HandshakeError) in
            _ = try InitiatorHandshake.create(
                identity: identity, responder: responder, staticStatic: staticStatic,
                ephemeral: PrivateKey(seed: UInt64(number)), timestamp: TAI64N(moment.wall),
                localIndex: ReceiverIndex(rawValue: number), into: &bytes)
            cookie.addMACs(to: &bytes, now: moment.instant.steady)
        }
        return message
    }
}

extension Moment {
    /// The readings of both clocks after an interval.
    fileprivate func later(by interval: Interval) -> Moment {
        let nanoseconds = UInt64(wall.nanoseconds) + interval.nanoseconds
        return Moment(
            instant: instant + interval,
            wall: WallTime(
                seconds: wall.seconds + Int64(nanoseconds / 1_000_000_000),
                nanoseconds: UInt32(nanoseconds % 1_000_000_000)))
    }
}
