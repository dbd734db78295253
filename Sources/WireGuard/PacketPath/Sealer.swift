import Packets
import Synchronization
import WireGuardCrypto

/// One thread's way out: from what the TUN delivered to datagrams that can be sent.
///
/// 1. ``load(_:header:at:length:)`` takes what one read delivered, up to 64 KiB of one flow.
/// 2. ``cut(from:into:)`` cuts it into packets of the MTU at most, each in the send buffer between the
///    room for its header and that for its padding and tag. It stops when the buffer is full.
/// 3. ``seal(in:bouncing:now:)`` finds the peer of each packet, and seals runs to one peer with one
///    reservation of counters; packets without a session are staged, packets without a peer bounce
///    as ICMP errors.
/// 4. The owner sends ``transmits`` and writes the bounces, then calls ``removeAll()``.
///
///     send buffer: | header 16 | packet | padding | tag 16 | header 16 | packet …
package struct Sealer: ~Copyable {
    /// A packet in the send buffer.
    struct Entry: BitwiseCopyable {
        /// Where the room for its header begins.
        var offset = 0
        /// Its own bytes.
        var length = 0
        /// With its padding.
        var paddedLength = 0
        /// The ECN bits for outside.
        var ecn: UInt8 = 0
        /// Whether it was cut from the same read as the one before, so that it has the same route.
        var isContinuation = false
        /// Whether it carries UDP, in a fragment perhaps, and could be a datagram of our own.
        var isUDP = false
    }

    /// A packet or ICMP error to write back to the TUN: range of the bounce buffer.
    package struct Bounce: BitwiseCopyable {
        package var offset = 0
        package var length = 0
    }

    /// Whether segmented sends are in use; else each message is a send of its own.
    package var usesSegmentation = true

    /// Until when a device's refusal keeps them out of use.
    private var segmentationPause = Instant(nanoseconds: 0)
    private var clockReader = SteadyClock.Reader()

    private let shared: SharedState
    private let gate: SharedState.HeldGate
    private var entries: FixedArray<Entry>
    private var entryCount = 0
    private var used = 0
    private var sealing: FixedArray<AEADPacket>
    private var plan: SegmentPlan?
    private var nextSegment = 0
    private var planECN: UInt8 = 0
    private var planIsUDP = false
    /// What is to be sent.
    package private(set) var transmits: FixedArray<UDPTransmit<SegmentRange>>
    package private(set) var transmitCount = 0
    /// What is to be written back to the TUN.
    package private(set) var bounces: FixedArray<Bounce>
    package private(set) var bounceCount = 0
    private var bounceLimiter = TokenBucket(perSecond: 100, burst: 50)
    private var jitter: JitterSource
    /// Whether the last batch had the device's first datagram that would have gone round and round.
    package private(set) var hasFoundLoop = false

    /// Returns needed once after new drop records. The result of ``seal(in:bouncing:now:)`` includes it.
    package func takeWakeForDrops() -> Wake { shared.takeWakeForDrops() }

    /// Most packets of one batch.
    package static let maximumPackets = 128
    /// Bytes of the send buffer: a full read cut for the usual MTU fits with its overhead.
    package static let bufferByteCount = 160 << 10
    /// Bytes of the bounce buffer.
    package static let bounceByteCount = maximumBounces * bounceStride
    private static let maximumBounces = 8
    /// Room for a virtio header and an ICMPv6 error of the minimum MTU.
    private static let bounceStride = 1536
    private static let bounceHeaderRoom = 16

    /// Makes the way out of one thread, which holds `gate` while it looks at shared state.
    package init(shared: SharedState, gate: SharedState.Gate, jitterSeed: UInt64) {
        self.shared = shared
        self.gate = SharedState.HeldGate(gate)
        entries = FixedArray(repeating: Entry(), count: Self.maximumPackets)
        sealing = FixedArray(
            repeating: AEADPacket(offset: 0, length: 0, counter: 0), count: Self.maximumPackets)
        transmits = FixedArray(repeating: .empty, count: Self.maximumPackets)
        bounces = FixedArray(repeating: Bounce(), count: Self.maximumBounces)
        jitter = JitterSource(seed: jitterSeed)
    }

    /// Whether the last delivery that could be loaded is UDP, or a fragment, which mostly is.
    package var holdsDatagrams: Bool { planIsUDP }

    /// Whether the device is up; what is loaded while it is not is dropped.
    package var isUp: Bool { shared.isUp.load(ordering: .relaxed) }

    /// Whether nothing is in the send buffer.
    package var isEmpty: Bool { entryCount == 0 }

    /// Whether another read may be put into the same batch: small packets are gathered, while what
    /// filled half of the buffer goes out at once.
    package var hasRoom: Bool {
        used < Self.bufferByteCount / 4 && entryCount < Self.maximumPackets / 2
    }

    /// Forgets the batch.
    package mutating func removeAll() {
        entryCount = 0
        used = 0
        transmitCount = 0
        bounceCount = 0
        hasFoundLoop = false
    }

    /// Takes one delivery of the TUN: `length` bytes of packet at `offset`, described by `header`.
    ///
    /// - Returns: whether there is something to cut; what makes no sense is dropped and counted.
    package mutating func load(
        _ packet: RawSpan, header: VirtioNetHeader, at offset: Int, length: Int
    ) -> Bool {
        guard shared.isUp.load(ordering: .relaxed) else {
            shared.drop(.interfaceDown)
            return false
        }
        guard let ip = IPHeader(packet, at: offset, length: length) else {
            shared.drop(.malformedPacket)
            return false
        }
        do {
            plan = try SegmentPlan(
                header, packet: packet, offset: offset, length: length)
        } catch {
            shared.drop(.malformedPacket)
            return false
        }
        nextSegment = 0
        planECN = ECN.encapsulated(inner: ip.trafficClass)
        planIsUDP = ip.protocolNumber == .udp || ip.protocolNumber == .fragment
        return true
    }

    /// Cuts what was loaded into the send buffer.
    ///
    /// - Returns: whether all of it is there; else it goes on after the batch was sealed and sent.
    package mutating func cut(from packet: RawSpan, into buffer: inout MutableRawSpan) -> Bool {
        guard let plan else { return true }
        let mtu = shared.mtu.load(ordering: .relaxed)
        while nextSegment < plan.count {
            let length = plan.length(of: nextSegment)
            let padded = TransportData.paddedLength(length, mtu: mtu)
            let size = TransportData.overhead + padded
            guard entryCount < entries.count, used + size <= buffer.byteCount else {
                // A packet that does not even fit into an empty buffer would be tried for ever.
                guard entryCount == 0 else { return false }
                shared.drop(.malformedPacket)
                break
            }
            _ = plan.cut(
                nextSegment, from: packet, into: &buffer, at: used + TransportData.packet)
            entries[entryCount] = Entry(
                offset: used, length: length, paddedLength: padded, ecn: planECN,
                isContinuation: nextSegment > 0 && entryCount > 0, isUDP: planIsUDP)
            entryCount += 1
            used += size
            nextSegment += 1
        }
        self.plan = nil
        return true
    }

    /// Routes and seals everything in the send buffer.
    ///
    /// - Returns: whether the control thread must be woken.
    package mutating func seal(
        in buffer: inout MutableRawSpan, bouncing bounceBuffer: inout MutableRawSpan,
        now observed: ObservedInstant
    ) -> Wake {
        let now = shared.clock.time(at: observed, for: &clockReader)
        let gate = gate
        return gate.withTables { tables in
            // The interface may have gone down since the batch was loaded.
            guard shared.isUp.load(ordering: .relaxed) else {
                shared.drop(.interfaceDown, packets: entryCount)
                return shared.takeWakeForDrops()
            }
            let wake = sealAll(in: &buffer, bouncing: &bounceBuffer, tables, now: now)
            return wake | shared.takeWakeForDrops()
        }
    }

    private mutating func sealAll(
        in buffer: inout MutableRawSpan, bouncing bounceBuffer: inout MutableRawSpan,
        _ tables: borrowing SharedTables, now: Instant
    ) -> Wake {
        var wake = Wake.notNeeded
        var start = 0
        var route = Route.dropped
        if entryCount > 0 {
            route = self.route(0, after: .dropped, buffer, &bounceBuffer, tables, now)
        }
        while start < entryCount {
            var end = start + 1
            var next = Route.dropped
            while end < entryCount {
                next = self.route(end, after: route, buffer, &bounceBuffer, tables, now)
                guard next == route, entries[end].ecn == entries[start].ecn else { break }
                end += 1
            }
            if case .peer(let slot) = route {
                wake |= sealRun(start..<end, to: slot, in: &buffer, tables, now: now)
            }
            start = end
            route = next
        }
        return wake
    }

    /// A segmented send to a peer was too large for its path: from now on datagrams one by one, until
    /// routes, endpoint or MTU change, or ten seconds have passed, as no word comes of a path whose
    /// MTU was learnt and is forgotten.
    package mutating func stopSegmentation(to slot: PeerSlot, now observed: ObservedInstant) {
        let now = shared.clock.time(at: observed, for: &clockReader)
        gate.withTables { tables in
            guard tables.peers.contains(slot.rawValue) else { return }
            tables.peers[slot.rawValue].refuseSegmentation(
                generation: tables.sourceGeneration.load(ordering: .relaxed), now: now)
        }
    }

    /// A device refused a segmented send: from now on, and for ten seconds, this thread sends each
    /// datagram by itself. Another route may lead through another device, and trying again costs
    /// one batch at most, which is sent all the same.
    package mutating func stopSegmentation(now observed: ObservedInstant) {
        let now = shared.clock.time(at: observed, for: &clockReader)
        segmentationPause = now + Constants.segmentationPause
    }

    /// The kernel refused datagrams.
    package func countRefusedSends(_ datagrams: Int) {
        shared.drop(.refusedSend, packets: datagrams)
    }

    /// A send from a peer's cached source was refused.
    package func clearSource(of slot: PeerSlot) {
        gate.withTables { tables in
            // The peer may have been removed since its batch was sealed.
            guard tables.peers.contains(slot.rawValue) else { return }
            tables.peers[slot.rawValue].endpoint.withLock { $0?.source = nil }
        }
    }

    // MARK: Routing

    private enum Route: Equatable {
        case peer(PeerSlot)
        case dropped
    }

    /// The peer of a packet: the owner of the longest allowed IP that covers its destination.
    private mutating func route(
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

    /// Whether a packet is a datagram that this device sent to the very endpoint that it would be
    /// sent to once more, round and round.
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

    /// Where the UDP header begins in an IP packet; nil if it has none. What sealing adds makes our
    /// datagrams too long for the tunnel, so they come back in fragments, of which the first has it.
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

    /// Answers a packet that goes nowhere with an ICMP error to the TUN, at a bounded rate.
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

    // MARK: Sealing

    /// Seals consecutive packets to one peer, or stages them; tells whether to wake the control
    /// thread.
    private mutating func sealRun(
        _ run: Range<Int>, to slot: PeerSlot, in buffer: inout MutableRawSpan,
        _ tables: borrowing SharedTables, now: Instant
    ) -> Wake {
        let keypairSlot = tables.peers[slot.rawValue].current.load(ordering: .acquiring)
        guard keypairSlot != SharedPeer.noKeypair,
            let first = firstCounter(keypairSlot, count: run.count, tables, now: now)
        else { return stage(run, for: slot, in: buffer, tables, now: now) }

        let remoteIndex = tables.keypairs[keypairSlot].remoteIndex
        for index in run {
            let entry = entries[index]
            let packet = entry.offset + TransportData.packet
            buffer.zero(packet + entry.length..<packet + entry.paddedLength)
            let counter = first &+ UInt64(index - run.lowerBound)
            TransportData.storeHeader(
                receiver: remoteIndex, counter: counter, at: entry.offset, into: &buffer)
            sealing[index - run.lowerBound] = AEADPacket(
                offset: packet, length: entry.paddedLength, counter: counter)
        }
        ChaCha20Poly1305.seal(
            sealing.prefix(run.count), in: &buffer, key: tables.keypairs[keypairSlot].sending,
            using: shared.aead)
        return finishRun(run, to: slot, under: keypairSlot, tables, now: now)
    }

    private func firstCounter(
        _ keypair: UInt32, count: Int, _ tables: borrowing SharedTables, now: Instant
    ) -> UInt64? {
        guard tables.keypairs[keypair].maySend.load(ordering: .relaxed),
            !tables.keypairs[keypair].isExpired(now: now)
        else { return nil }
        return tables.keypairs[keypair].reserveCounters(count)
    }

    /// Plans the sends of a sealed run, and counts it.
    private mutating func finishRun(
        _ run: Range<Int>, to slot: PeerSlot, under keypair: UInt32,
        _ tables: borrowing SharedTables, now: Instant
    ) -> Wake {
        let endpoint = tables.peers[slot.rawValue].endpoint.withLock { $0 }
        // Routing found an endpoint under this gate. An endpoint may change, but only goes with its peer.
        guard let endpoint else {
            shared.drop(.noEndpoint, packets: run.count, peer: slot)
            return .notNeeded
        }
        let generation = tables.sourceGeneration.load(ordering: .relaxed)
        let source = endpoint.sourceGeneration == generation ? endpoint.source : nil
        let ecn = entries[run.lowerBound].ecn
        var limits: DatagramRun.Limits =
            if case .v4 = endpoint.remote.address { .v4 } else { .v6 }
        if !usesSegmentation || now < segmentationPause
            || tables.peers[slot.rawValue].refusesSegmentation(generation: generation, now: now)
        {
            limits.segments = 1
        }

        var byteCount = 0
        var datagrams: DatagramRun?
        for index in run {
            let entry = entries[index]
            let size = TransportData.overhead + entry.paddedLength
            byteCount += size
            if datagrams?.extend(offset: entry.offset, length: size, limits: limits) == true {
                continue
            }
            if let datagrams { append(datagrams, endpoint.remote, source, ecn, slot) }
            datagrams = DatagramRun(offset: entry.offset, length: size)
        }
        if let datagrams { append(datagrams, endpoint.remote, source, ecn, slot) }

        tables.peers[slot.rawValue].sentBytes.wrappingAdd(UInt64(byteCount), ordering: .relaxed)
        return noteSent(slot, under: keypair, tables, now: now)
    }

    private mutating func append(
        _ run: DatagramRun, _ remote: SocketAddress, _ source: SourceAddress?, _ ecn: UInt8,
        _ peer: PeerSlot
    ) {
        transmits[transmitCount] = UDPTransmit(
            bytes: SegmentRange(
                offset: run.offset, length: run.length,
                segmentSize: run.count > 1 ? run.segmentSize : 0),
            remote: remote, source: source, trafficClass: ecn)
        transmits[transmitCount].peer = peer
        transmitCount += 1
    }

    /// The kernel's timer events after data was sent, in its order, and its rule for a new session.
    private mutating func noteSent(
        _ slot: PeerSlot, under keypair: UInt32, _ tables: borrowing SharedTables, now: Instant
    ) -> Wake {
        let jitter = jitter.next()
        var wake = shared.withTimers(of: slot, in: tables) { timers in
            timers.anyAuthenticatedPacketSent()
            return timers.anyAuthenticatedPacketTraversal(now: now)
                | timers.dataSent(now: now, jitter: jitter)
        }
        if tables.keypairs[keypair].needsRekeyAfterSending(now: now) {
            wake |= shared.requestHandshake(.rekeyAfterSending, of: slot, in: tables, now: now)
        }
        return wake
    }

    /// Keeps copies of packets for which there is no session, and asks for one.
    private func stage(
        _ run: Range<Int>, for slot: PeerSlot, in buffer: borrowing MutableRawSpan,
        _ tables: borrowing SharedTables, now: Instant
    ) -> Wake {
        for index in run {
            let entry = entries[index]
            shared.stage(
                buffer.bytes, at: entry.offset + TransportData.packet, length: entry.length,
                for: slot, in: tables)
        }
        return shared.requestHandshake(.handshake, of: slot, in: tables, now: now)
    }
}
