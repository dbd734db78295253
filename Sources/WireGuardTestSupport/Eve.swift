import WireGuard

/// A datagram on the network.
public struct Capture: Hashable, Sendable {
    /// The time at which it was sent.
    public var time: ObservedInstant
    /// The source address.
    public var from: SocketAddress
    /// The destination address.
    public var to: SocketAddress
    /// The UDP payload.
    public var bytes: [UInt8]
    /// TOS (IPv4) or traffic class (IPv6).
    public var trafficClass: UInt8

    /// The type of the message, its first byte: 1 initiation, 2 response, 3 cookie reply, 4 transport data; 0
    /// for an empty datagram.
    public var type: UInt8 { bytes.first ?? 0 }

    /// Whether it is a keepalive: transport data without a packet.
    public var isKeepalive: Bool { type == 4 && bytes.count == 32 }

    /// The little-endian number at `offset`.
    public func littleEndian(at offset: Int) -> UInt32 {
        bytes[offset..<offset + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }
}

/// An attacker on the network who sees all datagrams and can drop, delay, duplicate or change them.
///
///     network.eve.meddle = { datagram in datagram.type == 2 ? .drop : .pass }
public final class Eve {
    /// All datagrams that hosts sent, in order and unchanged.
    public private(set) var seen: [Capture] = []
    /// Decides about each datagram, and may change it. The default passes all datagrams.
    public var meddle: (inout Capture) -> Verdict = { _ in .pass }
    /// Whether to record datagrams in ``seen``. Turn it off for very long tests.
    public var remembers = true

    /// What happens to a datagram.
    public enum Verdict: Hashable, Sendable {
        /// It continues.
        case pass
        /// It never arrives.
        case drop
        /// It arrives later by this interval.
        case delay(Interval)
        /// It arrives twice, the second time later by this interval.
        case duplicate(after: Interval)
    }

    init() {}

    /// Clears ``seen``.
    public func forget() {
        seen = []
    }

    /// The recorded datagrams of a type: 1 initiation, 2 response, 3 cookie reply, 4 transport data.
    public func seen(_ type: UInt8) -> [Capture] {
        seen.filter { $0.type == type }
    }

    /// The recorded datagrams of a type from a host.
    public func seen(_ type: UInt8, from host: Host) -> [Capture] {
        seen.filter { $0.type == type && $0.from == host.address }
    }

    /// The datagrams that replace a datagram, and their delays.
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
