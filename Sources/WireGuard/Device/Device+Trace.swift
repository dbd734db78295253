import Packets
import Synchronization

extension Device {
    /// Whether events are collected for ``takeEvents()``.
    package var isTracing: Bool {
        get { shared.trace.isOn }
        set {
            shared.trace.turn(on: newValue)
            shared.isTraced.store(newValue, ordering: .relaxed)
        }
    }

    /// Collects an event if tracing is on.
    func trace(_ event: @autoclosure () -> TraceEvent) {
        if isTracing { events.append(event()) }
    }

    /// Turns recorded drops into events.
    func traceDrops() {
        guard isTracing else { return }
        for record in shared.trace.take() {
            events.append(.dropped(drop(record)))
            hasTracedDrops = true
        }
    }

    /// Turns recorded drops into events, and once a second adds the number of drops not recorded.
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
