import Packets
import Synchronization
import WireGuardCrypto

extension Sealer {
    /// Seals a run of packets to one peer with one reservation of counters, or stages them if there is no
    /// session.
    mutating func sealRun(
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

    /// Reserves `count` counters and returns the first, nil if the keypair cannot send.
    private func firstCounter(
        _ keypair: UInt32, count: Int, _ tables: borrowing SharedTables, now: Instant
    ) -> UInt64? {
        guard tables.keypairs[keypair].maySend.load(ordering: .relaxed),
            !tables.keypairs[keypair].isExpired(now: now)
        else { return nil }
        return tables.keypairs[keypair].reserveCounters(count)
    }

    /// Groups the sealed messages into sends, and updates counters and timers.
    private mutating func finishRun(
        _ run: Range<Int>, to slot: PeerSlot, under keypair: UInt32,
        _ tables: borrowing SharedTables, now: Instant
    ) -> Wake {
        let endpoint = tables.peers[slot.rawValue].endpoint.withLock { $0 }
        // Cannot fail: routing found an endpoint under this gate, and an endpoint is removed only with its peer.
        guard let endpoint else {
            shared.drop(.noEndpoint, packets: run.count, peer: slot)
            return .notNeeded
        }
        let generations = tables.sourceGenerations
        // Used until the check has an answer.
        let source = endpoint.usableSource(generations)
        let wake =
            endpoint.needsCheck(generations)
            ? shared.request(.sourceCheck, of: slot, in: tables) : .notNeeded
        let ecn = entries[run.lowerBound].ecn
        var limits: SegmentedSend.Limits =
            if case .v4 = endpoint.remote.address { .v4 } else { .v6 }
        if !usesSegmentation || now < segmentationPause
            || tables.peers[slot.rawValue].refusesSegmentation(
                generation: tables.mtuGeneration.load(ordering: .relaxed), now: now)
        {
            limits.segments = 1
        }

        var byteCount = 0
        var datagrams: SegmentedSend?
        for index in run {
            let entry = entries[index]
            let size = TransportData.overhead + entry.paddedLength
            byteCount += size
            if datagrams?.extend(offset: entry.offset, length: size, limits: limits) == true {
                continue
            }
            if let datagrams { append(datagrams, endpoint.remote, source, ecn, slot) }
            datagrams = SegmentedSend(offset: entry.offset, length: size)
        }
        if let datagrams { append(datagrams, endpoint.remote, source, ecn, slot) }

        tables.peers[slot.rawValue].sentBytes.wrappingAdd(UInt64(byteCount), ordering: .relaxed)
        return wake | noteSent(slot, under: keypair, tables, now: now)
    }

    private mutating func append(
        _ run: SegmentedSend, _ remote: SocketAddress, _ source: SourceAddress?, _ ecn: UInt8,
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

    /// Stages packets that have no session, and requests a handshake.
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
