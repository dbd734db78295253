import Packets
import Synchronization
import Testing
import WireGuardCrypto
import WireGuardTestSupport

@testable import WireGuard

@Suite("No pair of key and counter is used twice, on any thread, at any limit")
struct NonceTests {
    static let threads = 8
    static let countersPerKey = scaled(release: 25_000_000, debug: 500_000)

    /// The first counter of each key.
    static let starts: [UInt64] = [
        // The first counter, and the end of 32 bits.
        0, (1 << 32) - 1_000_000,
        // Rekey-After-Messages.
        (1 << 60) - 1_000_000,
        // The last counters below Reject-After-Messages.
        Constants.rejectAfterMessages - UInt64(countersPerKey),
    ]

    @Test(
        "25 million counters (debug: 0.5) of each of four keys, reserved by 8 threads, to the limit",
        arguments: starts)
    func reservations(start: UInt64) throws {
        // One batch may cross the limit, and each thread may have one more beyond it.
        let book = CounterBook(from: start, count: Self.countersPerKey + (Self.threads + 1) * 128)
        let end = start + UInt64(Self.countersPerKey)
        try withThreads(Self.threads) { thread in
            var random = SeededGenerator(seed: UInt64(thread))
            while true {
                // Single packets and batches.
                let wish = random.next()
                let count = wish & 3 == 0 ? 1 : Int(wish >> 32 % 128) + 1
                if let first = book.keypair.reserveCounters(count) {
                    book.mark(first, count: count)
                    if first >= end { return }
                } else if let first = book.keypair.reserveCounters(1) {
                    // A batch no longer fits, a single packet does.
                    book.mark(first, count: 1)
                } else {
                    return
                }
            }
        } meanwhile: {
        }
        #expect(book.repetitions.load(ordering: .relaxed) == 0)
        let given = book.given.load(ordering: .relaxed)
        #expect(book.marked == given && given >= Self.countersPerKey)
        if start == Self.starts.last {
            #expect(given == Self.countersPerKey, "all below the limit, none beyond")
            expect(book.keypair.reserveCounters(1), is: nil)
        }
    }

    @Test(
        "2 million messages (--long: 100 million, debug: 40 000) of four threads and the control thread, through rekeys"
    )
    func sealing() throws {
        let network = Network(seed: 4)
        let pair = network.makePair(.mutualEndpoints)
        pair.connect()
        pair.alice.addPeer(pair.bob.publicKey, allowedIPs: [], persistentKeepalive: 3)
        let shared = pair.alice.tunnel.device.shared
        let gates = (0..<4).map { _ in shared.makeGate() }
        let logs = gates.map { _ in MessageLog() }
        let state = State(time: network.time, threads: gates.count)
        let goal = scaled(
            release: scaled(long: 25_000_000, short: 500_000), debug: 10_000)
        let control = MessageLog()
        network.eve.remembers = false
        network.eve.meddle = { capture in
            if capture.type == 4, capture.from == pair.alice.address {
                withBytes(capture.bytes) { control.note($0) }
            }
            return .pass
        }

        try withThreads(gates.count) { number in
            var lane = Lane(shared: shared, gate: gates[number], seed: UInt64(number))
            while logs[number].count < goal || state.hasMore {
                lane.sealBatch(now: state.now, into: logs[number])
                if logs[number].isAtLimit { state.sawLimit.store(true, ordering: .relaxed) }
            }
            state.running.subtract(1, ordering: .releasing)
        } meanwhile: {
            while state.running.load(ordering: .acquiring) > 0 {
                network.advance(by: .milliseconds(100))
                state.time.store(network.time.nanoseconds, ordering: .relaxed)
                pair.alice.handleTimeout()
                let round = state.rounds.add(1, ordering: .relaxed).newValue
                // To one limit, then to the other.
                if round % 300 == 100 { skip(pair, to: (1 << 60) - 500) }
                if round % 300 == 200 { skip(pair, to: Constants.rejectAfterMessages - 500) }
            }
        }

        let runs = (logs + [control]).flatMap(\.runs).sorted {
            ($0.index, $0.first) < ($1.index, $1.first)
        }
        let repeated = zip(runs, runs.dropFirst()).count { run, next in
            run.index == next.index && run.first + run.count > next.first
        }
        #expect(repeated == 0)
        #expect(runs.allSatisfy { $0.first + $0.count <= Constants.rejectAfterMessages })
        #expect(runs.contains { $0.first + $0.count == Constants.rejectAfterMessages })
        #expect(runs.reduce(0) { $0 + $1.count } >= UInt64(gates.count * goal))
        #expect(control.count > 0, "the control thread sent as well")
        #expect(Set(runs.map(\.index)).count > 2, "there were rekeys")
        #expect(
            shared.clock.reading(at: network.time.steady) == network.time,
            "no slow thread moved the clock"
        )
    }

    /// State shared by the threads.
    final class State: Sendable {
        let time: Atomic<UInt64>
        let running: Atomic<Int>
        /// Of the control thread.
        let rounds = Atomic<Int>(0)
        /// Whether a lane has sealed the last message of a session.
        let sawLimit = Atomic<Bool>(false)

        init(time: ObservedInstant, threads: Int) {
            self.time = Atomic(time.nanoseconds)
            running = Atomic(threads)
        }

        var now: ObservedInstant { ObservedInstant(nanoseconds: time.load(ordering: .relaxed)) }

        /// Whether limits are left to reach, however slow a thread is: the control thread must get
        /// beyond both, and the lanes to the last one before there is a new session.
        var hasMore: Bool {
            let rounds = rounds.load(ordering: .relaxed)
            return rounds < 400 || rounds < 20_000 && !sawLimit.load(ordering: .relaxed)
        }
    }

    private func skip(_ pair: Pair, to counter: UInt64) {
        pair.alice.withCurrentKeypair(to: pair.bob) { keypair in
            // Only forward: a counter must not be given twice.
            if let next = keypair.reserveCounters(1), next < counter {
                keypair.skipCounters(to: counter)
            }
        }
    }
}

/// A key, with one bit for each counter that was given.
private final class CounterBook: Sendable {
    let keypair: Keypair
    let given = Atomic<Int>(0)
    let repetitions = Atomic<Int>(0)
    private let first: UInt64
    private let words: [Word]

    private final class Word: Sendable {
        let bits = Atomic<UInt64>(0)
    }

    init(from first: UInt64, count: Int) {
        self.first = first
        words = (0...count / 64).map { _ in Word() }
        keypair = Keypair(
            peer: PeerSlot(rawValue: 0), role: .initiator,
            localIndex: ReceiverIndex(rawValue: 1), remoteIndex: ReceiverIndex(rawValue: 2),
            created: .after(1), sending: SymmetricKey(Secret32()),
            receiving: SymmetricKey(Secret32()))
        keypair.skipCounters(to: first)
    }

    /// Records counters that were given to a thread. Traps if they are out of range.
    func mark(_ counter: UInt64, count: Int) {
        given.add(count, ordering: .relaxed)
        var bit = Int(counter - first)
        let end = bit + count
        while bit < end {
            let length = min(64 - bit % 64, end - bit)
            let mask = (length == 64 ? .max : (UInt64(1) << length) - 1) << (bit % 64)
            let before = words[bit / 64].bits.bitwiseOr(mask, ordering: .relaxed).oldValue
            if before & mask != 0 { repetitions.add(1, ordering: .relaxed) }
            bit += length
        }
    }

    var marked: Int { words.reduce(0) { $0 + $1.bits.load(ordering: .relaxed).nonzeroBitCount } }
}

/// The receiver indices and counters of messages, in runs. Of one thread until that has ended.
private final class MessageLog: @unchecked Sendable {
    struct Run {
        var index: UInt32
        var first: UInt64
        var count: UInt64
    }

    private(set) var runs: [Run] = []
    private(set) var count = 0

    /// Whether the last message was the last of its session.
    var isAtLimit: Bool {
        runs.last.map { $0.first + $0.count == Constants.rejectAfterMessages } ?? false
    }

    func note(_ message: RawSpan) {
        guard let data = TransportData(message) else {
            Issue.record("sealed something else")
            return
        }
        let index = data.receiver.rawValue
        let counter = data.counter
        count += 1
        if let last = runs.last, last.index == index, last.first + last.count == counter {
            runs[runs.count - 1].count += 1
        } else {
            runs.append(Run(index: index, first: counter, count: 1))
        }
    }
}

/// One thread's `Sealer`, with batches of small packets.
private struct Lane: ~Copyable {
    private var sealer: Sealer
    private var buffer = PacketBuffer(byteCount: Sealer.bufferByteCount)
    private var bounceBuffer = PacketBuffer(byteCount: Sealer.bounceByteCount)
    private let packet = InnerPacket.udp4(from: 1, to: 2, byteCount: 64)
    private var random: SeededGenerator

    init(shared: SharedState, gate: SharedState.Gate, seed: UInt64) {
        sealer = Sealer(shared: shared, gate: gate, jitterSeed: seed)
        random = SeededGenerator(seed: seed)
    }

    mutating func sealBatch(now: ObservedInstant, into log: MessageLog) {
        let count = Int.random(in: 1...64, using: &random)
        sealer.seal(
            packet, times: count, in: &buffer, bouncing: &bounceBuffer, now: now, into: log)
    }
}

extension Sealer {
    fileprivate mutating func seal(
        _ packet: [UInt8], times: Int, in buffer: inout PacketBuffer,
        bouncing bounceBuffer: inout PacketBuffer, now: ObservedInstant, into log: MessageLog
    ) {
        var bytes = buffer.mutableBytes
        var bounceBytes = bounceBuffer.mutableBytes
        // Bytes have no padding.
        let span = unsafe packet.span.bytes
        for _ in 0..<times
        where load(span, header: VirtioNetHeader(), at: 0, length: span.byteCount) {
            _ = cut(from: span, into: &bytes)
        }
        // The control thread of this test polls, so nothing wakes it.
        _ = seal(in: &bytes, bouncing: &bounceBytes, now: now)
        for index in 0..<transmitCount {
            let transmit = transmits[index]
            let size =
                transmit.bytes.segmentSize == 0 ? transmit.bytes.length : transmit.bytes.segmentSize
            for offset in stride(from: 0, to: transmit.bytes.length, by: size) {
                let end = min(offset + size, transmit.bytes.length)
                log.note(
                    bytes.bytes.extracting(
                        transmit.bytes.offset + offset..<transmit.bytes.offset + end))
            }
        }
        removeAll()
    }
}
