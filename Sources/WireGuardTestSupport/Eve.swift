import WireGuard

/// A datagram as it was seen on the wire.
public struct Capture: Hashable, Sendable {
    /// When it was sent.
    public var time: ObservedInstant
    /// Who sent it, by its source address.
    public var from: SocketAddress
    /// Who it is for.
    public var to: SocketAddress
    /// The UDP payload.
    public var bytes: [UInt8]
    /// TOS or traffic class.
    public var trafficClass: UInt8

    /// The first byte, which tells the kind of a message: 1 initiation, 2 response, 3 cookie reply,
    /// 4 data; 0 for an empty datagram.
    public var type: UInt8 { bytes.first ?? 0 }

    /// Whether it is a keepalive: data of no length.
    public var isKeepalive: Bool { type == 4 && bytes.count == 32 }

    /// The number at `offset`, in the byte order of WireGuard.
    public func littleEndian(at offset: Int) -> UInt32 {
        bytes[offset..<offset + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }
}

/// Who sits on the wire: she sees every datagram, and may drop, delay, repeat or change it.
///
///     network.eve.meddle = { datagram in datagram.type == 2 ? .drop : .pass }
public final class Eve {
    /// Everything that hosts sent, in order, as they sent it.
    public private(set) var seen: [Capture] = []
    /// What becomes of a datagram; it may be changed as well. Everything passes unless told
    /// otherwise.
    public var meddle: (inout Capture) -> Verdict = { _ in .pass }
    /// Whether ``seen`` is kept; to be turned off for very long runs.
    public var remembers = true

    /// What becomes of a datagram.
    public enum Verdict: Hashable, Sendable {
        /// It goes on.
        case pass
        /// It never arrives.
        case drop
        /// It takes that much longer.
        case delay(Interval)
        /// It goes on, and once more that much later.
        case duplicate(after: Interval)
    }

    init() {}

    /// Forgets what was seen.
    public func forget() {
        seen = []
    }

    /// What was seen of a kind: 1 initiations, 2 responses, 3 cookie replies, 4 data.
    public func seen(_ type: UInt8) -> [Capture] {
        seen.filter { $0.type == type }
    }

    /// What was seen of a kind from a host.
    public func seen(_ type: UInt8, from host: Host) -> [Capture] {
        seen.filter { $0.type == type && $0.from == host.address }
    }

    /// What arrives in the place of a datagram, and how much later.
    func handle(_ capture: Capture) -> [(Capture, Interval)] {
        if remembers { seen.append(capture) }
        var changed = capture
        let none = Interval(nanoseconds: 0)
        return switch meddle(&changed) {
        case .pass: [(changed, none)]
        case .drop: []
        case .delay(let interval): [(changed, interval)]
        case .duplicate(let interval): [(changed, none), (changed, interval)]
        }
    }
}
