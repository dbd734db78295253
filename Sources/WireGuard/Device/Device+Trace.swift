import Packets
import Synchronization

extension Device {
    /// Whether events are kept for ``takeEvents()``.
    package var isTracing: Bool {
        get { shared.trace.isOn }
        set {
            shared.trace.turn(on: newValue)
            shared.isTraced.store(newValue, ordering: .relaxed)
        }
    }

    /// Keeps an event, if somebody traces.
    func trace(_ event: @autoclosure () -> TraceEvent) {
        if isTracing { events.append(event()) }
    }

    /// Makes events of the drops that were written down, by the packet path or by us.
    func traceDrops() {
        guard isTracing else { return }
        for record in shared.trace.take() {
            events.append(.dropped(drop(record)))
            hasTracedDrops = true
        }
    }

    /// The same, and once a second says how many were left out.
    func traceDrops(at now: Instant) {
        guard isTracing else { return traceSecond = nil }
        traceDrops()
        if hasTracedDrops, traceSecond == nil { traceSecond = now + .seconds(1) }
        guard let second = traceSecond, second <= now else { return }
        hasTracedDrops = false
        for (kind, count) in shared.trace.beginSecond() {
            events.append(.leftOut(count, kind.reason, kind.error))
        }
        traceSecond = nil
    }

    private func drop(_ record: DropTrace.Record) -> Drop {
        Drop(
            record.kind.reason, handshakeError: record.kind.error,
            peer: record.peer.flatMap { peer($0)?.publicKey }, index: record.index,
            remote: record.remote, inner: record.inner, packets: record.packets)
    }
}
