import Packets
import Testing
import WireGuardCrypto
import WireGuardTestSupport

@testable import WireGuard

/// A lossy, reordering link between Alice and Bob that checks the protocol: it follows each session by its
/// unencrypted header fields, and records an issue for each datagram that breaks a rule.
///
/// Each message except keepalives carries one packet, and hosts send packets in order, so the link can
/// identify a lost packet without decrypting it.
final class LinkAudit {
    /// One session, as observed on the link.
    final class Session {
        /// 0 for Alice, 1 for Bob.
        let initiator: Int
        /// When the responder derived it.
        let derived: ObservedInstant
        /// When the response arrives and the initiator derives the session, unless the response is lost.
        let arrival: ObservedInstant
        var isConsumed = false
        /// When the initiator's first message arrives. The responder must not use the session earlier.
        var confirmation: ObservedInstant?
        var nextCounters: [UInt64] = [0, 0]

        init(initiator: Int, derived: ObservedInstant, arrival: ObservedInstant) {
            self.initiator = initiator
            self.derived = derived
            self.arrival = arrival
        }

        func age(at time: ObservedInstant, of host: Int) -> Interval {
            time.since(host == initiator ? arrival : derived)
        }
    }

    struct Flight {
        var isLost: Bool
        var arrival: ObservedInstant
        var session: Session
    }

    struct HandshakeMessage {
        var time: ObservedInstant
        var host: Int
        var type: UInt8
        var isLost: Bool
    }

    let pair: Pair
    private let hosts: [Host]
    private var random: SeededGenerator
    private let lossPermille: Int
    private let reorderingPermille: Int
    private var sessionsByIndex: [UInt32: Session] = [:]

    /// Sessions whose response was consumed, in order.
    private(set) var sessions: [Session] = []
    private(set) var handshakeMessages: [HandshakeMessage] = []
    /// Messages that initiators sent under keys of at least 120 s. Each must start a new session.
    private(set) var lateSends: [(time: ObservedInstant, session: Session)] = []
    private(set) var wipes: [ObservedInstant] = []
    private(set) var confirmations: [(time: ObservedInstant, host: Int)] = []
    /// All events except data messages, for failure messages.
    private var chronicle: [(time: ObservedInstant, line: String)] = []
    private(set) var lostPackets = 0
    private(set) var reordered = 0
    private(set) var expiredUnderWay = 0
    /// The number of packets passed to each host, and the flights of those that it sent.
    private var sentCount: [UInt32] = [0, 0]
    private var flights: [[Flight]] = [[], []]
    private var isReceived: [[Bool]] = [[], []]
    private var current: [Session?] = [nil, nil]
    private let stream = NumberedStream()

    init(_ pair: Pair, seed: UInt64, lossPermille: Int, reorderingPermille: Int) {
        self.pair = pair
        self.lossPermille = lossPermille
        self.reorderingPermille = reorderingPermille
        hosts = [pair.alice, pair.bob]
        random = SeededGenerator(seed: seed)
        pair.network.eve.remembers = false
        pair.network.eve.meddle = { [unowned self] in handle($0) }
        for (index, host) in hosts.enumerated() {
            host.observe = { [unowned self] in note($0, of: index) }
        }
    }

    private var now: ObservedInstant { pair.network.time }

    // MARK: Packets

    /// Lets Alice (0) or Bob (1) send one packet.
    func send(from host: Int) {
        let number = sentCount[host]
        sentCount[host] += 1
        isReceived[host].append(false)
        let addresses: [UInt8] = [1, 2]
        hosts[host].send(stream.packet(number, from: addresses[host], to: addresses[1 - host]))
    }

    /// Takes the received packets, and expects each packet at most once and no lost packet.
    func drain() {
        for host in 0...1 {
            for packet in hosts[1 - host].received {
                let number = Int(NumberedStream.number(of: packet))
                guard number < flights[host].count, !isReceived[host][number] else {
                    Issue.record("packet \(number) of \(hosts[host].name) arrived twice")
                    continue
                }
                isReceived[host][number] = true
                let flight = flights[host][number]
                if flight.isLost {
                    Issue.record("packet \(number) was lost on the link but arrived")
                }
                if flight.session.age(at: flight.arrival, of: 1 - host) >= .seconds(180) {
                    Issue.record("packet \(number) was accepted under a key past 180 s")
                }
            }
            hosts[1 - host].received.removeAll(keepingCapacity: true)
        }
    }

    /// Packets that were sent, by both.
    var packetCount: Int { Int(sentCount[0]) + Int(sentCount[1]) }

    /// Packets that wait at a host for a session.
    var waiting: Int { (0...1).reduce(0) { $0 + Int(sentCount[$1]) - flights[$1].count } }

    // MARK: The link

    private func handle(_ capture: Capture) -> Eve.Verdict {
        let host = capture.from == pair.alice.address ? 0 : 1
        let isLost = Int.random(in: 0..<1_000, using: &random) < lossPermille
        var delay = Interval(nanoseconds: 0)
        if Int.random(in: 0..<1_000, using: &random) < reorderingPermille {
            delay = .milliseconds(.random(in: 5...60, using: &random))
            reordered += 1
        }
        let arrival = now + pair.network.latency + delay
        switch capture.type {
        case 1:
            note(1, isLost, of: host)
        case 2:
            note(2, isLost, of: host)
            let session = Session(initiator: 1 - host, derived: now, arrival: arrival)
            sessionsByIndex[capture.littleEndian(at: 4)] = session
            sessionsByIndex[capture.littleEndian(at: 8)] = session
        default:
            check(capture, from: host, isLost, arrival)
        }
        return isLost ? .drop : .delay(delay)
    }

    private func note(_ type: UInt8, _ isLost: Bool, of host: Int) {
        handshakeMessages.append(
            HandshakeMessage(time: now, host: host, type: type, isLost: isLost))
        chronicle.append(
            (now, "\(hosts[host].name) sends \(type)" + (isLost ? ", which is lost" : "")))
    }

    private func check(
        _ capture: Capture, from host: Int, _ isLost: Bool, _ arrival: ObservedInstant
    ) {
        guard capture.type == 4, let session = sessionsByIndex[capture.littleEndian(at: 4)] else {
            Issue.record("a message that belongs to no session")
            return
        }
        let counter =
            UInt64(capture.littleEndian(at: 8)) | UInt64(capture.littleEndian(at: 12)) << 32
        if counter != session.nextCounters[host] {
            Issue.record("counter \(counter) instead of \(session.nextCounters[host])")
        }
        session.nextCounters[host] = counter + 1
        let age = session.age(at: now, of: host)
        if age >= .seconds(180) { Issue.record("sent under a key of \(age.inSeconds) s") }
        if host == session.initiator {
            if !session.isConsumed && now < session.arrival { Issue.record("sent under no key") }
            if !isLost { session.confirmation = min(session.confirmation ?? arrival, arrival) }
            if age >= .seconds(120) { lateSends.append((now, session)) }
        } else if session.confirmation.map({ $0 <= now }) != true {
            Issue.record("the responder used a key that was not confirmed")
        }
        guard !capture.isKeepalive else { return }
        flights[host].append(Flight(isLost: isLost, arrival: arrival, session: session))
        if isLost { lostPackets += 1 }
    }

    // MARK: The trace

    private func note(_ event: TraceEvent, of host: Int) {
        chronicle.append((now, "\(hosts[host].name): \(Self.name(of: event))"))
        switch event {
        case .responseConsumed:
            let session = sessionsByIndex.values.first {
                $0.initiator == host && $0.arrival == now
            }
            guard let session else {
                Issue.record("a session without a response")
                return
            }
            session.isConsumed = true
            sessions.append(session)
            current[host] = session
            forget()
        case .keypairRotated where !hasJustConsumedResponse(host):
            confirmations.append((now, host))
            current[host] = sessionsByIndex.values.filter { $0.initiator != host }
                .max { $0.derived < $1.derived }
        case .keysWiped:
            wipes.append(now)
            current[host] = nil
        case .initiationSent(_, _, let cause):
            check(cause, of: host)
        default:
            break
        }
    }

    private func hasJustConsumedResponse(_ host: Int) -> Bool {
        if case .responseConsumed? = hosts[host].events.dropLast().last { true } else { false }
    }

    /// Expects that the cause of an initiation is true: there is no session that can send, our own session
    /// is old, or data was not answered for 15 s.
    private func check(_ cause: InitiationCause, of host: Int) {
        let session = current[host]
        let age = session?.age(at: now, of: host)
        let isOurs = session?.initiator == host
        let holds =
            switch cause {
            case .packetsWait, .keepaliveDue: age.map { $0 >= .seconds(180) } ?? true
            case .keyIsOld: isOurs && age.map { $0 >= .seconds(120) } == true
            case .keyExpiresSoon: isOurs && age.map { $0 >= .seconds(165) } == true
            // The event before this one reports it.
            case .noAnswer:
                hosts[host].events.dropLast().last == .noAnswer(hosts[1 - host].publicKey)
            case .retry(let attempt): (1...19).contains(attempt)
            }
        guard !holds else { return }
        let name = hosts[host].name
        Issue.record(
            "\(name) sent an initiation with a wrong cause (\(cause)), under a key of \(age?.inSeconds ?? -1) s"
        )
    }

    /// Removes sessions that are too old to carry messages.
    private func forget() {
        sessionsByIndex = sessionsByIndex.filter {
            now.since($0.value.derived) < .seconds(1_000)
        }
    }

    // MARK: Checks at the end

    /// Expects that each packet arrived, was lost on the link, is staged, or arrived after its key had
    /// expired. Counts the expired ones.
    func expectNothingLost() {
        drain()
        for host in 0...1 {
            for (number, flight) in flights[host].enumerated()
            where !isReceived[host][number] && !flight.isLost && flight.arrival <= now {
                let age = flight.session.age(at: flight.arrival, of: 1 - host)
                if age >= .seconds(180) {
                    expiredUnderWay += 1
                } else {
                    let start = ObservedInstant(nanoseconds: flight.session.derived.nanoseconds - 1)
                    Issue.record(
                        "packet \(number) of \(host) got lost: \(story(start, flight.arrival))")
                }
            }
        }
    }

    /// Expects at most 120 s between two sessions, plus the time in which the initiator was silent and the
    /// time of retries.
    ///
    /// - Returns: how many gaps were longer.
    func expectExplainedGaps() -> Int {
        var longer = 0
        for (earlier, later) in zip(sessions, sessions.dropFirst())
        where later.arrival.since(earlier.arrival) > .seconds(120) {
            longer += 1
            // Messages in flight when the earlier session started are not attempts to start a later one.
            let attempts = handshakeMessages.filter {
                $0.time > earlier.arrival + .milliseconds(200) && $0.time <= later.arrival
                    && !isSpared($0)
            }
            guard let first = attempts.first else {
                Issue.record("a session without an initiation")
                continue
            }
            // 1. Silence: an initiator that sends under an old key starts a handshake immediately.
            let missed = lateSends.filter { $0.session === earlier && $0.time < first.time }
            if !missed.isEmpty {
                Issue.record("\(missed.count) messages under a key of 120 s started no handshake")
            }
            // 2. Retries: each within 5.334 s, and for a reason.
            let times = attempts.map(\.time) + [later.arrival]
            for (before, after) in zip(times, times.dropFirst())
            where after.since(before) > .milliseconds(5_334 + 100) {
                let seconds = after.since(before).inSeconds
                Issue.record("no try for \(seconds) s: \(story(earlier.arrival, after))")
            }
            for attempt in attempts.filter({ $0.type == 1 }).dropLast()
            where !hasFailed(attempt, among: attempts) {
                Issue.record(
                    "tried again for no reason: \(story(earlier.arrival, later.arrival))")
            }
        }
        return longer
    }

    /// Whether another session was confirmed while the initiator waited for the response, so that it
    /// stopped retrying.
    private func isSpared(_ message: HandshakeMessage) -> Bool {
        let initiator = message.type == 1 ? message.host : 1 - message.host
        return confirmations.contains {
            $0.host == initiator && $0.time <= message.time + .milliseconds(200)
                && (message.type == 1 ? message.time : initiation(before: message)) <= $0.time
        }
    }

    /// The earliest time of an initiation that this response can answer.
    private func initiation(before response: HandshakeMessage) -> ObservedInstant {
        ObservedInstant(
            nanoseconds: response.time.nanoseconds - Interval.milliseconds(200).nanoseconds)
    }

    /// Whether an initiation failed: it or its response was lost, or the initiator discarded it because the
    /// peer's initiation crossed it or because all keys were wiped.
    private func hasFailed(
        _ attempt: HandshakeMessage, among attempts: [HandshakeMessage]
    ) -> Bool {
        if attempt.isLost { return true }
        let end = attempt.time + .milliseconds(200)
        if wipes.contains(where: { $0 >= attempt.time && $0 <= end }) { return true }
        return attempts.contains {
            guard $0.host != attempt.host else { return false }
            return $0.type == 2
                ? $0.isLost && $0.time > attempt.time && $0.time <= end
                : $0.time <= end && attempt.time <= $0.time + .milliseconds(200)
        }
    }

    /// What happened after `start` and until a second after `end`.
    private func story(_ start: ObservedInstant, _ end: ObservedInstant) -> String {
        chronicle.filter { $0.time > start && $0.time <= end + .seconds(1) }
            .map { "\n    \($0.time.seconds) \($0.line)" }.joined()
    }

    private static func name(of event: TraceEvent) -> String {
        let text = "\(event)"
        if case .initiationSent(_, _, let cause) = event { return "initiationSent: \(cause)" }
        return String(text.prefix { $0 != "(" })
    }
}

extension ObservedInstant {
    fileprivate var seconds: Double { Double(nanoseconds) / 1e9 }
}
