import Packets
import Testing
import WireGuardCrypto
import WireGuardTestSupport

@testable import WireGuard

/// A bad link between Alice and Bob that keeps books: it loses and reorders, follows each session by
/// what is to be read on the wire, and holds all that is sent against the rules.
///
/// Each message that is no keepalive carries one packet, and a host sends its packets in order: so the
/// link knows which packet it lost without a key.
final class LinkAudit {
    /// One session, as the link saw it come about.
    final class Session {
        /// 0 for Alice, 1 for Bob.
        let initiator: Int
        /// When the responder derived it.
        let derived: ObservedInstant
        /// When the response arrives, if it does: when the initiator derives it.
        let arrival: ObservedInstant
        var isConsumed = false
        /// When the first message of the initiator arrives: before, the responder may not use it.
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
    /// What initiators sent under keys of 120 s and more, each of which asks for a new session.
    private(set) var lateSends: [(time: ObservedInstant, session: Session)] = []
    private(set) var wipes: [ObservedInstant] = []
    private(set) var confirmations: [(time: ObservedInstant, host: Int)] = []
    /// Everything but data, for the message of a test that fails.
    private var chronicle: [(time: ObservedInstant, line: String)] = []
    private(set) var lostPackets = 0
    private(set) var reordered = 0
    private(set) var expiredUnderWay = 0
    /// How many packets each host was given to send, and the flights of those that left.
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

    /// Takes what arrived, and expects each packet once, and only what was not lost.
    func drain() {
        for host in 0...1 {
            for packet in hosts[1 - host].received {
                let number = Int(NumberedStream.number(of: packet))
                guard number < flights[host].count, !isReceived[host][number] else {
                    Issue.record("packet \(number) of \(hosts[host].name) came twice")
                    continue
                }
                isReceived[host][number] = true
                let flight = flights[host][number]
                if flight.isLost { Issue.record("packet \(number) was lost, and yet it came") }
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
            Issue.record("a message of no session")
            return
        }
        let counter =
            UInt64(capture.littleEndian(at: 8)) | UInt64(capture.littleEndian(at: 12)) << 32
        if counter != session.nextCounters[host] {
            Issue.record("counter \(counter) in the place of \(session.nextCounters[host])")
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
                Issue.record("a session that nobody answered for")
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

    /// The cause that an initiation names holds: no session that may send, one of ours that is old, or
    /// data without an answer for 15 s.
    private func check(_ cause: InitiationCause, of host: Int) {
        let session = current[host]
        let age = session?.age(at: now, of: host)
        let isOurs = session?.initiator == host
        let holds =
            switch cause {
            case .packetsWait, .keepaliveDue: age.map { $0 >= .seconds(180) } ?? true
            case .keyIsOld: isOurs && age.map { $0 >= .seconds(120) } == true
            case .keyExpiresSoon: isOurs && age.map { $0 >= .seconds(165) } == true
            // The trace says so just before.
            case .noAnswer:
                hosts[host].events.dropLast().last == .noAnswer(hosts[1 - host].publicKey)
            case .retry(let attempt): (1...19).contains(attempt)
            }
        guard !holds else { return }
        let name = hosts[host].name
        Issue.record("\(name) began anew: \(cause), under a key of \(age?.inSeconds ?? -1) s")
    }

    /// Lets go of sessions that are too old to be heard of again.
    private func forget() {
        sessionsByIndex = sessionsByIndex.filter {
            now.since($0.value.derived) < .seconds(1_000)
        }
    }

    // MARK: The books

    /// Expects that each packet arrived, was lost by the link, waits, or came too late for its key:
    /// those are counted.
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

    /// Expects that between two sessions lie no more than 120 s, but for the time in which the
    /// initiator sent nothing, and the time that retries took.
    ///
    /// - Returns: how many gaps were longer.
    func expectExplainedGaps() -> Int {
        var longer = 0
        for (earlier, later) in zip(sessions, sessions.dropFirst())
        where later.arrival.since(earlier.arrival) > .seconds(120) {
            longer += 1
            // What was under way when the earlier one came about is no attempt at another.
            let attempts = handshakeMessages.filter {
                $0.time > earlier.arrival + .milliseconds(200) && $0.time <= later.arrival
                    && !isSpared($0)
            }
            guard let first = attempts.first else {
                Issue.record("a session out of nothing")
                continue
            }
            // 1. Quiet: had the initiator sent, it would have begun in the same moment.
            let missed = lateSends.filter { $0.session === earlier && $0.time < first.time }
            if !missed.isEmpty {
                Issue.record("\(missed.count) messages under a key of 120 s made no initiation")
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

    /// Whether the initiator was shown that a session is there while it waited for its response, so
    /// that it let go of it.
    private func isSpared(_ message: HandshakeMessage) -> Bool {
        let initiator = message.type == 1 ? message.host : 1 - message.host
        return confirmations.contains {
            $0.host == initiator && $0.time <= message.time + .milliseconds(200)
                && (message.type == 1 ? message.time : initiation(before: message)) <= $0.time
        }
    }

    /// When the initiation left that a response may be for.
    private func initiation(before response: HandshakeMessage) -> ObservedInstant {
        ObservedInstant(
            nanoseconds: response.time.nanoseconds - Interval.milliseconds(200).nanoseconds)
    }

    /// Whether an initiation was lost, or its response, or was forgotten: for the other's, which was
    /// under way at the same time, or when all keys were wiped.
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
