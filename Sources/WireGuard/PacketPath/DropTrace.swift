import Packets
import Synchronization

/// The drops recorded for tracing: the first few of each kind per second, and the number of the others,
/// so that a flood of packets does not cause a flood of log lines.
///
/// While off, it costs one load per drop and one per batch. While on, a drop copies a few words into
/// memory that was allocated when tracing was turned on. The control thread takes the records and starts
/// each second.
final class DropTrace: Sendable {
    /// What is counted separately: a reason, and for handshake messages also the error.
    struct Kind: BitwiseCopyable, Sendable {
        var reason: DropReason
        var error: HandshakeError?

        /// The index of this kind among all kinds.
        fileprivate var index: Int {
            error.map { DropReason.allCases.count + $0.rawValue } ?? reason.rawValue
        }

        fileprivate static let count = DropReason.allCases.count + HandshakeError.allCases.count
    }

    /// What is known of dropped packets.
    struct Record: BitwiseCopyable, Sendable {
        var kind: Kind
        var peer: PeerSlot?
        var index: ReceiverIndex?
        var remote: SocketAddress?
        var inner: IPAddress?
        var packets: Int
    }

    private struct Records {
        var records: [Record] = []
        /// For each kind: the number of records in this second.
        var written: [Int] = []
        /// For each kind: the number of packets that were not recorded, and the kind of the last one.
        var leftOut: [(kind: Kind?, packets: UInt64)] = []
    }

    private let tracing = Atomic<Bool>(false)
    private let hasNewRecords = Atomic<Bool>(false)
    private let state = Mutex(Records())

    /// The maximum number of records of a kind per second.
    static let perSecond = 10

    /// Whether drops are recorded.
    @inline(__always)
    var isOn: Bool { tracing.load(ordering: .relaxed) }

    /// Turns recording on or off.
    func turn(on: Bool) {
        guard on != isOn else { return }
        state.withLock { state in
            state = Records()
            guard on else { return }
            state.records.reserveCapacity(Kind.count * Self.perSecond)
            state.written = Array(repeating: 0, count: Kind.count)
            state.leftOut = Array(repeating: (nil, 0), count: Kind.count)
        }
        hasNewRecords.store(false, ordering: .relaxed)
        tracing.store(on, ordering: .relaxed)
    }

    /// Records a drop, or counts it if its kind is at the maximum.
    func write(_ record: Record) {
        let isFirst = state.withLock { state in
            let kind = record.kind.index
            guard kind < state.written.count else { return false }
            guard state.written[kind] < Self.perSecond else {
                state.leftOut[kind].kind = record.kind
                state.leftOut[kind].packets &+= UInt64(max(record.packets, 0))
                return false
            }
            state.written[kind] += 1
            state.records.append(record)
            return state.records.count == 1
        }
        if isFirst { hasNewRecords.store(true, ordering: .relaxed) }
    }

    /// Returns needed once after new records; clears the flag.
    @inline(__always)
    func takeWake() -> Wake {
        hasNewRecords.load(ordering: .relaxed) && hasNewRecords.exchange(false, ordering: .relaxed)
            ? .needed : .notNeeded
    }

    /// Takes all records.
    func take() -> [Record] {
        state.withLock { state in
            guard !state.records.isEmpty else { return [] }
            let records = Array(state.records)
            state.records.removeAll(keepingCapacity: true)
            return records
        }
    }

    /// Starts the next second.
    ///
    /// - Returns: the number of packets of each kind that were not recorded in the last second.
    func beginSecond() -> [(Kind, UInt64)] {
        state.withLock { state in
            let leftOut = state.leftOut.compactMap { entry in entry.kind.map { ($0, entry.packets) }
            }
            for kind in state.written.indices {
                state.written[kind] = 0
                state.leftOut[kind] = (nil, 0)
            }
            return leftOut
        }
    }
}

extension SharedState {
    /// Counts dropped packets, and records them while tracing is on.
    func drop(
        _ reason: DropReason, _ error: HandshakeError? = nil, packets: Int = 1,
        peer: PeerSlot? = nil, index: ReceiverIndex? = nil, remote: SocketAddress? = nil,
        inner: IPAddress? = nil
    ) {
        guard packets > 0 else { return }
        drops.count(reason, packets)
        guard isTraced.load(ordering: .relaxed) else { return }
        trace.write(
            DropTrace.Record(
                kind: DropTrace.Kind(reason: reason, error: error), peer: peer, index: index,
                remote: remote, inner: inner, packets: packets))
    }
}
