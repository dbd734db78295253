import WireGuard

/// A simulated network of hosts, with an eavesdropper and simulated time.
///
///     let network = Network()
///     let pair = network.makePair()
///     pair.alice.send(InnerPacket.udp4(from: 1, to: 2))
///     network.settle()
///     #expect(pair.bob.received.count == 1)
///     network.advance(by: .seconds(120))
///
/// Nothing sleeps or reads a clock: ``advance(by:)`` jumps from one event to the next. All randomness comes
/// from the seed, so a failure can be reproduced.
public final class Network {
    /// The simulated time. The clocks of a host may differ, see ``Host/clockOffset``.
    public private(set) var time = ObservedInstant(nanoseconds: 1_000_000_000_000)
    /// The time that a datagram takes from host to host.
    public var latency = Interval.milliseconds(10)
    /// The upper limit of a random additional latency of each datagram. If it exceeds the time between two
    /// datagrams, it can reorder them.
    public var latencyVariation = Interval(nanoseconds: 0)
    /// The probability that a datagram is lost, from 0 to 1.
    public var loss = 0.0
    /// The probability that a datagram arrives twice, from 0 to 1.
    public var duplication = 0.0
    /// The eavesdropper on all datagrams.
    public let eve = Eve()
    /// The hosts, in the order in which they were added.
    public private(set) var hosts: [Host] = []

    private var random: SeededRandom
    /// Datagrams in flight. The last element arrives next.
    private var inFlight: [Flight] = []
    private var launched: UInt64 = 0

    private struct Flight {
        var arrival: ObservedInstant
        var serial: UInt64
        var capture: Capture
    }

    /// Makes a network without hosts. The same seed gives the same results.
    public init(seed: UInt64 = 1) {
        random = SeededRandom(seed: seed)
    }

    // MARK: Hosts

    /// Adds a host with a new key, whose tunnel is up.
    public func addHost(_ name: String, at address: SocketAddress) -> Host {
        let host = Host(name, at: address, seed: random.nextUInt64(), network: self)
        hosts.append(host)
        return host
    }

    /// Adds Alice and Bob as peers of each other. Alice has 10.0.0.1 and fd00::1, Bob has 10.0.0.2 and fd00::2.
    /// Only Alice knows the other's endpoint, unless an option says otherwise.
    public func makePair(_ options: Pair.Options = []) -> Pair {
        Pair(in: self, options)
    }

    // MARK: Time

    /// Advances the time. Datagrams arrive and timers expire at their times.
    public func advance(by interval: Interval) {
        run(until: time + interval)
    }

    /// Advances the time until no datagram is in flight, by at most a second.
    public func settle() {
        let end = time + .seconds(1)
        while let next = inFlight.last, next.arrival <= end { run(until: next.arrival) }
    }

    /// Advances the time until `condition` holds, by at most `limit`.
    ///
    /// - Returns: the time until then, or nil if the condition did not become true.
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

    /// The time at which the next datagram arrives or the next timer expires, or nil if there is none.
    public var nextHappening: ObservedInstant? {
        let timeouts = hosts.compactMap(\.nextTimeout)
        return (timeouts + inFlight.suffix(1).map(\.arrival)).min()
    }

    private func run(until end: ObservedInstant) {
        var visits = 0
        while let next = nextHappening, next <= end {
            visits = next > time ? 0 : visits + 1
            precondition(visits < 100_000, "time does not advance: a timer is due again and again")
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

    /// Sends a datagram with the source `remote`, which need not be the address of a host.
    public func inject(_ bytes: [UInt8], from remote: SocketAddress, to target: SocketAddress) {
        launch(
            Capture(time: time, from: remote, to: target, bytes: bytes, trafficClass: 0),
            after: latency)
    }

    /// Sends a captured datagram again.
    public func replay(_ capture: Capture) {
        launch(capture, after: latency)
    }

    /// Passes a datagram of a host to Eve and then applies latency, loss and duplication.
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
