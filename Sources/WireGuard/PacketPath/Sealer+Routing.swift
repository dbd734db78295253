import Packets
import Synchronization

extension Sealer {
    /// Where a packet of the send buffer goes.
    enum Route: Equatable {
        case peer(PeerSlot)
        case dropped
    }

    /// Finds the peer of a packet: the owner of the longest allowed IP that contains its destination.
    ///
    /// A packet without a peer or an endpoint is dropped and answered with an ICMP error.
    mutating func route(
        _ index: Int, after previous: Route, _ buffer: borrowing MutableRawSpan,
        _ bounceBuffer: inout MutableRawSpan, _ tables: borrowing SharedTables, _ now: Instant
    ) -> Route {
        let entry = entries[index]
        if entry.isContinuation, !entry.isUDP { return previous }
        let start = entry.offset + TransportData.packet
        guard
            let destination = IPHeader.destination(
                in: buffer.bytes, at: start, length: entry.length)
        else {
            shared.drop(.malformedPacket)
            return .dropped
        }
        guard let slot = tables.routes.lookup(destination) else {
            shared.drop(.noPeer, inner: destination)
            bounce(entry, to: destination, buffer, &bounceBuffer, tables, now)
            return .dropped
        }
        let endpoint = tables.peers[slot.rawValue].endpoint.withLock { $0?.remote }
        guard let endpoint else {
            shared.drop(.noEndpoint, peer: slot, inner: destination)
            bounce(entry, to: destination, buffer, &bounceBuffer, tables, now)
            return .dropped
        }
        if entry.isUDP, isOwnDatagram(entry, to: destination, endpoint, buffer) {
            shared.drop(.routingLoop, peer: slot, inner: destination)
            if !shared.hasLooped.exchange(true, ordering: .relaxed) { hasFoundLoop = true }
            return .dropped
        }
        return .peer(slot)
    }

    /// Whether a packet is a datagram that this device sent to the endpoint of the peer it is routed to. It
    /// would be sealed and sent again without end.
    private func isOwnDatagram(
        _ entry: Entry, to destination: IPAddress, _ endpoint: SocketAddress,
        _ buffer: borrowing MutableRawSpan
    ) -> Bool {
        guard destination == endpoint.address else { return false }
        let start = entry.offset + TransportData.packet
        guard let header = IPHeader(buffer.bytes, at: start, length: entry.length),
            let offset = Self.offsetOfUDP(in: buffer.bytes, at: start, header),
            header.totalLength - offset >= 8
        else { return false }
        let udp = start + offset
        return buffer.loadBigEndian(at: udp, as: UInt16.self)
            == shared.listenPort.load(ordering: .relaxed)
            && buffer.loadBigEndian(at: udp + 2, as: UInt16.self) == endpoint.port
    }

    /// The offset of the UDP header in an IP packet, nil if it has none. Sealing makes our datagrams longer
    /// than the MTU, so they return as fragments, and only the first has the header.
    private static func offsetOfUDP(
        in bytes: RawSpan, at start: Int, _ header: IPHeader
    ) -> Int? {
        switch header.version {
        case .v4:
            let isFirst = bytes.loadBigEndian(at: start + 6, as: UInt16.self) & 0x1FFF == 0
            return isFirst && header.protocolNumber == .udp ? header.headerLength : nil
        case .v6:
            guard
                let transport = IPv6Transport(
                    bytes, at: start, next: header.protocolNumber, length: header.totalLength),
                !transport.isLaterFragment, transport.protocolNumber == .udp
            else { return nil }
            return transport.offset
        }
    }

    /// Answers a packet that cannot be routed with an ICMP error, at a limited rate.
    private mutating func bounce(
        _ entry: Entry, to destination: IPAddress, _ buffer: borrowing MutableRawSpan,
        _ bounceBuffer: inout MutableRawSpan, _ tables: borrowing SharedTables, _ now: Instant
    ) {
        guard !entry.isContinuation, bounceCount < bounces.count, !isBroadcast(destination, tables),
            bounceLimiter.take(now: now)
        else { return }
        let offset = bounceCount * Self.bounceStride + Self.bounceHeaderRoom
        guard
            let length = ICMPUnreachable.write(
                for: buffer.bytes, at: entry.offset + TransportData.packet,
                length: entry.length, into: &bounceBuffer, at: offset)
        else { return }
        VirtioNetHeader().store(in: &bounceBuffer, at: offset - VirtioNetHeader.byteCount)
        bounces[bounceCount] = Bounce(offset: offset, length: length)
        bounceCount += 1
    }

    private func isBroadcast(_ destination: IPAddress, _ tables: borrowing SharedTables) -> Bool {
        guard case .v4(let address) = destination else { return false }
        return tables.broadcastAddresses.contains(address)
    }
}
