import WireGuard

/// Hosts, the wires between them, and Eve, in a world whose time the test moves.
///
///     let network = Network()
///     let pair = network.makePair()
///     pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
///     network.settle()
///     #expect(pair.bob.received.count == 1)
///     network.advance(by: .seconds(120))
///
/// Nothing here sleeps or reads a clock: ``advance(by:)`` jumps from one thing that happens to the
/// next. All randomness comes from the seed, so a run that failed can be run again.
public final class Network {
    /// What time it is. A host's clock may differ, see ``Host/clockOffset``.
    public private(set) var time = ObservedInstant(nanoseconds: 1_000_000_000_000)
    /// How long a datagram takes from host to host.
    public var latency = Interval.milliseconds(10)
    /// How much longer than ``latency`` a datagram may take, each another time: more than the gap
    /// between two datagrams reorders them.
    public var latencyVariation = Interval(nanoseconds: 0)
    /// The part of all datagrams that gets lost, from 0 to 1.
    public var loss = 0.0
    /// The part of all datagrams that arrives twice, from 0 to 1.
    public var duplication = 0.0
    /// Who reads and meddles with everything.
    public let eve = Eve()
    /// The hosts, in the order in which they came.
    public private(set) var hosts: [Host] = []

    private var random: SeededRandom
    /// What is under way, the next to arrive last.
    private var inFlight: [Flight] = []
    private var launched: UInt64 = 0

    private struct Flight {
        var arrival: ObservedInstant
        var serial: UInt64
        var capture: Capture
    }

    /// Makes a world without hosts; worlds of the same seed run the same way.
    public init(seed: UInt64 = 1) {
        random = SeededRandom(seed: seed)
    }

    // MARK: Hosts

    /// Adds a host with a key of its own, whose interface is up.
    public func addHost(_ name: String, at address: SocketAddress) -> Host {
        let host = Host(name, at: address, seed: random.nextUInt64(), network: self)
        hosts.append(host)
        return host
    }

    /// Adds Alice and Bob, who know each other: 10.0.0.1 and fd00::1 are Alice's, 10.0.0.2 and
    /// fd00::2 Bob's, and only Alice knows where the other is.
    public func makePair(_ options: Pair.Options = []) -> Pair {
        Pair(in: self, options)
    }

    // MARK: Time

    /// Lets time pass: datagrams arrive and timers run out, each at its time.
    public func advance(by interval: Interval) {
        run(until: time + interval)
    }

    /// Lets time pass until nothing is under way any more, a second at the most.
    public func settle() {
        let end = time + .seconds(1)
        while let next = inFlight.last, next.arrival <= end { run(until: next.arrival) }
    }

    /// Lets time pass until `condition` holds, at the most until `limit` is over.
    ///
    /// - Returns: how long it took, nil if it did not come true.
    public func advance(
        atMost limit: Interval, until condition: () -> Bool
    ) -> Interval? {
        let start = time
        while !condition() {
            guard let next = nextHappening, next <= start + limit else {
                run(until: start + limit)
                return condition() ? time.since(start) : nil
            }
            run(until: max(next, time))
        }
        return time.since(start)
    }

    /// When the next datagram arrives or the next timer runs out, nil for never.
    public var nextHappening: ObservedInstant? {
        let timeouts = hosts.compactMap(\.nextTimeout)
        return (timeouts + inFlight.suffix(1).map(\.arrival)).min()
    }

    private func run(until end: ObservedInstant) {
        var visits = 0
        while let next = nextHappening, next <= end {
            visits = next > time ? 0 : visits + 1
            precondition(visits < 100_000, "time stands still: something wakes itself")
            time = max(time, next)
            if let flight = inFlight.last, flight.arrival <= time {
                inFlight.removeLast()
                arrive(flight.capture)
            } else {
                for host in hosts where host.nextTimeout.map({ $0 <= time }) == true {
                    host.handleTimeout()
                }
            }
        }
        time = max(time, end)
    }

    // MARK: Datagrams

    /// Sends a datagram that nobody wrote, or one that was seen, as if it came from `remote`.
    public func inject(_ bytes: [UInt8], from remote: SocketAddress, to target: SocketAddress) {
        launch(
            Capture(time: time, from: remote, to: target, bytes: bytes, trafficClass: 0),
            after: latency)
    }

    /// Sends once more what was seen.
    public func replay(_ capture: Capture) {
        launch(capture, after: latency)
    }

    /// What a host sent is on its way, if Eve and chance let it be.
    func send(_ capture: Capture) {
        for (capture, delay) in eve.handle(capture) {
            if happens(loss) { continue }
            launch(capture, after: delay + variedLatency())
            if happens(duplication) { launch(capture, after: delay + variedLatency()) }
        }
    }

    private func launch(_ capture: Capture, after delay: Interval) {
        let flight = Flight(arrival: time + delay, serial: launched, capture: capture)
        launched += 1
        let index = inFlight.lastIndex {
            ($0.arrival, $0.serial) > (flight.arrival, flight.serial)
        }
        inFlight.insert(flight, at: index.map { $0 + 1 } ?? 0)
    }

    private func arrive(_ capture: Capture) {
        for host in hosts where host.address == capture.to { host.receive(capture) }
    }

    private func variedLatency() -> Interval {
        let more = random.next(below: latencyVariation.nanoseconds + 1)
        return latency + Interval(nanoseconds: more)
    }

    private func happens(_ probability: Double) -> Bool {
        guard probability > 0 else { return false }
        return Double(random.next(below: 1 << 32)) < probability * Double(1 << 32)
    }
}
