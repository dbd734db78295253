import Packets
import Synchronization
import WireGuardCrypto

/// The inbound half of the packet path, for one worker: from received datagrams to packets for the TUN.
///
/// ``open(_:count:in:into:now:)`` takes a received batch. Handshake messages go to the control thread's
/// queue. Transport data is gathered into runs of one keypair and one sender, opened in place, and
/// checked in the kernel's order: key age and counter, tag, replay window; then endpoint and timers are
/// updated; then the content and its source are checked. The coalescer gets the packets that pass, in
/// place.
package struct Opener: ~Copyable {
    /// What messages must have in common to be opened together.
    struct Run: BitwiseCopyable {
        var keypair = SharedPeer.noKeypair
        var remote = SocketAddress(address: .v4(IPv4Address(bits: 0)), port: 0)
        var source: SourceAddress?
        var trafficClass: UInt8 = 0
    }

    private let shared: SharedState
    private let gate: SharedState.HeldGate
    private var packets: FixedArray<AEADPacket>
    private var packetCount = 0
    private var clockReader = SteadyClock.Reader()
    private var run = Run()
    private var wake = Wake.notNeeded

    /// The maximum number of packets that are opened together.
    private static let maximumRun = 128

    /// Creates the opener of one worker, which reads the shared tables under `gate`.
    package init(shared: SharedState, gate: SharedState.Gate) {
        self.shared = shared
        self.gate = SharedState.HeldGate(gate)
        packets = FixedArray(
            repeating: AEADPacket(offset: 0, length: 0, counter: 0), count: Self.maximumRun)
    }

    /// Opens a batch and appends its packets to `coalescer`; the caller then calls `finish` on that.
    ///
    /// - Returns: whether the control thread must be woken.
    package mutating func open(
        _ messages: borrowing FixedArray<UDPArrival<SegmentRange>>, count: Int,
        in buffer: inout MutableRawSpan, into coalescer: inout FlowCoalescer,
        now observed: ObservedInstant
    ) -> Wake {
        let now = shared.clock.time(at: observed, for: &clockReader)
        wake = .notNeeded
        let gate = gate
        gate.withTables { tables in
            for index in 0..<count {
                demultiplex(messages[index], in: &buffer, into: &coalescer, tables, now: now)
            }
            finishRun(in: &buffer, into: &coalescer, tables, now: now)
        }
        return wake | shared.takeWakeForDrops()
    }

    /// Returns needed once after new drop records. The result of ``open(_:count:in:into:now:)`` includes it.
    package func takeWakeForDrops() -> Wake { shared.takeWakeForDrops() }

    /// Counts packets that the TUN refused.
    package func countRefusedWrites(_ packets: Int) {
        shared.drop(.refusedWrite, packets: packets)
    }

    // MARK: Demultiplexing

    private mutating func demultiplex(
        _ message: UDPArrival<SegmentRange>, in buffer: inout MutableRawSpan,
        into coalescer: inout FlowCoalescer, _ tables: borrowing SharedTables, now: Instant
    ) {
        let segments = DatagramSegments(
            length: message.bytes.length, segmentSize: message.bytes.segmentSize)
        let isUp = shared.isUp.load(ordering: .relaxed)
        for index in 0..<segments.count {
            let range = segments[index]
            let offset = message.bytes.offset + range.lowerBound
            let receiver: ReceiverIndex
            let counter: UInt64
            switch Message(in: buffer.bytes, at: offset, length: range.count) {
            case .transportData(let data):
                receiver = data.receiver
                counter = data.counter
            case .handshake(let handshake):
                // Also while down: the control thread may be about to bring the device up.
                queue(handshake, message, tables)
                continue
            case nil:
                shared.drop(.malformedMessage, remote: message.remote)
                continue
            }
            guard isUp else {
                shared.drop(.interfaceDown, remote: message.remote)
                continue
            }
            gather(
                message, receiver, counter, offset, range.count, in: &buffer, into: &coalescer,
                tables, now)
        }
    }

    /// Queues a handshake message for the control thread. Checks mac1 first: a sender who does not know
    /// our public key must not take room in the queue, whose length is the measure of load.
    private mutating func queue(
        _ handshake: HandshakeMessage, _ message: UDPArrival<SegmentRange>,
        _ tables: borrowing SharedTables
    ) {
        if let reason = Self.refusal(of: handshake, tables.mac1Check) {
            shared.drop(reason, index: handshake.index, remote: message.remote)
            return
        }
        let outcome = shared.handshakes.append(
            handshake, remote: message.remote, source: message.source)
        switch outcome {
        case let queued?: wake |= queued
        case nil: shared.drop(.handshakeQueueFull, remote: message.remote)
        }
    }

    private static func refusal(
        of handshake: HandshakeMessage, _ mac1Check: MAC1Check?
    ) -> DropReason? {
        // A cookie reply has no mac1. The control thread checks whether it answers a message of ours.
        guard let macs = handshake.macs else { return nil }
        guard let mac1Check else { return .noPrivateKey }
        return mac1Check.accepts(macs) ? nil : .invalidMAC1
    }

    private mutating func gather(
        _ message: UDPArrival<SegmentRange>, _ index: ReceiverIndex, _ counter: UInt64,
        _ offset: Int, _ length: Int, in buffer: inout MutableRawSpan,
        into coalescer: inout FlowCoalescer,
        _ tables: borrowing SharedTables, _ now: Instant
    ) {
        guard let keypair = tables.indices.lookup(index) else {
            shared.drop(.unknownIndex, index: index, remote: message.remote)
            return
        }
        guard counter < Constants.rejectAfterMessages else {
            shared.drop(
                .expiredKeypair, peer: tables.keypairs[keypair].peer, index: index,
                remote: message.remote)
            return
        }
        if packetCount == packets.count || keypair != run.keypair
            || message.remote != run.remote || message.source != run.source
            || message.trafficClass != run.trafficClass
        {
            finishRun(in: &buffer, into: &coalescer, tables, now: now)
            run = Run(
                keypair: keypair, remote: message.remote, source: message.source,
                trafficClass: message.trafficClass)
        }
        packets[packetCount] = AEADPacket(
            offset: offset + TransportData.packet, length: length - TransportData.packet,
            counter: counter)
        packetCount += 1
    }

    // MARK: Opening

    private mutating func finishRun(
        in buffer: inout MutableRawSpan, into coalescer: inout FlowCoalescer,
        _ tables: borrowing SharedTables, now: Instant
    ) {
        guard packetCount > 0 else { return }
        defer { packetCount = 0 }
        guard !tables.keypairs[run.keypair].isExpired(now: now) else {
            drop(.expiredKeypair, packets: packetCount, tables)
            return
        }
        Self.open(&packets, packetCount, in: &buffer, shared.aead, tables, keypair: run.keypair)
        let accepted = refuseReplays(tables)
        guard accepted > 0 else { return }

        let slot = tables.keypairs[run.keypair].peer
        noteReceived(slot, tables, now: now)
        deliver(slot, in: &buffer, into: &coalescer, tables, now: now)
    }

    // A static function: the span accesses only `packets`, so the shared state is not retained.
    private static func open(
        _ packets: inout FixedArray<AEADPacket>, _ count: Int, in buffer: inout MutableRawSpan,
        _ aead: AEADImplementation, _ tables: borrowing SharedTables, keypair: UInt32
    ) {
        var span = packets.mutablePrefix(count)
        ChaCha20Poly1305.open(
            &span, in: &buffer, key: tables.keypairs[keypair].receiving, using: aead)
    }

    /// Clears `isAuthentic` of replayed packets, and returns the number of authentic packets left.
    private mutating func refuseReplays(_ tables: borrowing SharedTables) -> Int {
        var accepted = 0
        var forged = 0
        var replayed = 0
        let count = packetCount
        tables.keypairs[run.keypair].replayWindow.withLock { window in
            for index in 0..<count {
                guard packets[index].isAuthentic else {
                    forged += 1
                    continue
                }
                guard window.accept(packets[index].counter) == .accepted else {
                    packets[index].isAuthentic = false
                    replayed += 1
                    continue
                }
                accepted += 1
            }
        }
        drop(.forgedMessage, packets: forged, tables)
        drop(.replayedMessage, packets: replayed, tables)
        return accepted
    }

    /// Drops packets of the run.
    private func drop(
        _ reason: DropReason, packets: Int = 1, inner: IPAddress? = nil,
        _ tables: borrowing SharedTables
    ) {
        shared.drop(
            reason, packets: packets, peer: tables.keypairs[run.keypair].peer,
            index: tables.keypairs[run.keypair].localIndex, remote: run.remote, inner: inner)
    }

    /// Updates endpoint, key confirmation, key age and timers, once per run; the kernel does the same for
    /// each authentic packet.
    private mutating func noteReceived(
        _ slot: PeerSlot, _ tables: borrowing SharedTables, now: Instant
    ) {
        tables.peers[slot.rawValue].follow(
            run.remote, source: run.source, tables.sourceGenerations)
        if tables.peers[slot.rawValue].confirm(run.keypair) {
            wake |= shared.request(.keyConfirmed, of: slot, in: tables)
        }
        // The age of the sending key counts, not that of the receiving key (kernel, keep_key_fresh).
        let current = tables.peers[slot.rawValue].current.load(ordering: .acquiring)
        if current != SharedPeer.noKeypair,
            tables.keypairs[current].takeRekeyOnReceive(now: now)
        {
            wake |= shared.requestHandshake(.rekeyAfterReceiving, of: slot, in: tables, now: now)
        }
        wake |= shared.withTimers(of: slot, in: tables) { timers in
            timers.anyAuthenticatedPacketReceived()
            return timers.anyAuthenticatedPacketTraversal(now: now)
        }
    }

    // MARK: Delivering

    private mutating func deliver(
        _ slot: PeerSlot, in buffer: inout MutableRawSpan, into coalescer: inout FlowCoalescer,
        _ tables: borrowing SharedTables, now: Instant
    ) {
        var byteCount = 0
        var hasData = false
        var refused = 0
        // Most packets of a run have the same source as the one before.
        var known: IPAddress?
        for index in 0..<packetCount where packets[index].isAuthentic {
            let packet = packets[index]
            let length = packet.length - TransportData.tagByteCount
            let messageLength = packet.length + TransportData.packet
            guard length > 0 else {
                byteCount += messageLength
                continue
            }
            hasData = true
            guard
                let (source, total) = IPHeader.sourceAndLength(
                    in: buffer.bytes, at: packet.offset, length: length)
            else {
                drop(.malformedInnerPacket, tables)
                refused += 1
                continue
            }
            if source != known {
                guard tables.routes.lookup(source) == slot else {
                    drop(.disallowedSource, inner: source, tables)
                    refused += 1
                    continue
                }
                known = source
            }
            byteCount += messageLength
            // Does not happen: the kernel joins fewer packets. The check keeps the coalescer in bounds.
            guard !coalescer.isFull else {
                drop(.batchOverflow, tables)
                continue
            }
            ECN.decapsulate(
                outer: run.trafficClass, packet: &buffer, at: packet.offset, length: total)
            coalescer.append(offset: packet.offset, length: total, in: buffer.bytes)
        }
        tables.peers[slot.rawValue].receivedBytes.wrappingAdd(
            UInt64(byteCount), ordering: .relaxed)
        if refused > 0 {
            tables.peers[slot.rawValue].receiveErrors.wrappingAdd(
                UInt64(refused), ordering: .relaxed)
        }
        guard hasData else { return }
        wake |= shared.withTimers(of: slot, in: tables) { $0.dataReceived(now: now) }
    }
}
