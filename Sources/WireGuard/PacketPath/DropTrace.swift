import Packets
import Synchronization

/// What is written down of drops while somebody traces: the first few of each kind in a second, and
/// of the rest their number, so that a flood of packets is no flood of lines.
///
/// Off, it costs one load where a packet is dropped, and one a batch. On, a drop is a few words copied
/// to memory that was made when tracing began. The control thread takes them out, and begins the
/// seconds.
final class DropTrace: Sendable {
    /// What is counted by itself: a reason, and of handshake messages each error.
    struct Kind: BitwiseCopyable, Sendable {
        var reason: DropReason
        var error: HandshakeError?

        /// Its number among all kinds.
        fileprivate var index: Int {
            error.map { DropReason.allCases.count + $0.rawValue } ?? reason.rawValue
        }

        fileprivate static let count = DropReason.allCases.count + HandshakeError.allCases.count
    }

    /// What is known of packets that went no further.
    struct Record: BitwiseCopyable, Sendable {
        var kind: Kind
        var peer: PeerSlot?
        var index: ReceiverIndex?
        var remote: SocketAddress?
        var inner: IPAddress?
        var packets: Int
    }

    private struct Notes {
        var records: [Record] = []
        /// By kind: how many were written down in this second.
        var written: [Int] = []
        /// By kind: how many packets were not, and what the last of them was.
        var leftOut: [(kind: Kind?, packets: UInt64)] = []
    }

    private let tracing = Atomic<Bool>(false)
    private let hasNews = Atomic<Bool>(false)
    private let notes = Mutex(Notes())

    /// How many of a kind are written down in a second.
    static let perSecond = 10

    /// Whether drops are written down.
    @inline(__always)
    var isOn: Bool { tracing.load(ordering: .relaxed) }

    /// Begins or ends it.
    func turn(on: Bool) {
        guard on != isOn else { return }
        notes.withLock { notes in
            notes = Notes()
            guard on else { return }
            notes.records.reserveCapacity(Kind.count * Self.perSecond)
            notes.written = Array(repeating: 0, count: Kind.count)
            notes.leftOut = Array(repeating: (nil, 0), count: Kind.count)
        }
        hasNews.store(false, ordering: .relaxed)
        tracing.store(on, ordering: .relaxed)
    }

    /// Writes a drop down, or counts it.
    func write(_ record: Record) {
        let isFirst = notes.withLock { notes in
            let kind = record.kind.index
            guard kind < notes.written.count else { return false }
            guard notes.written[kind] < Self.perSecond else {
                notes.leftOut[kind].kind = record.kind
                notes.leftOut[kind].packets &+= UInt64(max(record.packets, 0))
                return false
            }
            notes.written[kind] += 1
            notes.records.append(record)
            return notes.records.count == 1
        }
        if isFirst { hasNews.store(true, ordering: .relaxed) }
    }

    /// Returns needed once after new records; clears the flag.
    @inline(__always)
    func takeWake() -> Wake {
        hasNews.load(ordering: .relaxed) && hasNews.exchange(false, ordering: .relaxed)
            ? .needed : .notNeeded
    }

    /// Takes what was written down.
    func take() -> [Record] {
        notes.withLock { notes in
            guard !notes.records.isEmpty else { return [] }
            let records = Array(notes.records)
            notes.records.removeAll(keepingCapacity: true)
            return records
        }
    }

    /// Begins another second.
    ///
    /// - Returns: what was left out of the one before.
    func beginSecond() -> [(Kind, UInt64)] {
        notes.withLock { notes in
            let leftOut = notes.leftOut.compactMap { entry in entry.kind.map { ($0, entry.packets) }
            }
            for kind in notes.written.indices {
                notes.written[kind] = 0
                notes.leftOut[kind] = (nil, 0)
            }
            return leftOut
        }
    }
}

extension SharedState {
    /// Counts packets that went no further, and writes them down if somebody traces.
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
