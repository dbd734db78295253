import Packets
import Synchronization
import WireGuardCrypto

extension Device {
    /// Sends an initiation, unless a handshake message went to the peer within Rekey-Timeout. One that
    /// is no retry begins to count from zero.
    func initiate(_ peer: Peer, _ cause: InitiationCause, at moment: SteadyMoment) {
        let slot = peer.slot.rawValue
        if !cause.isRetry {
            tables.peers[slot].timers.handshakeAttempts.store(0, ordering: .relaxed)
        }
        guard isUp, identity != nil, let endpoint = tables.peers[slot].endpoint.withLock({ $0 }),
            !tables.peers[slot].isHandshakeLimited(now: moment.instant)
        else { return }
        var message = [UInt8](repeating: 0, count: HandshakeInitiation.byteCount)
        guard let index = writeInitiation(to: peer, into: &message, at: moment) else { return }
        noteHandshakeSent(peer, byteCount: message.count, at: moment)
        _ = tables.peers[slot].timers.handshakeInitiated(now: moment.instant, jitter: jitter())
        trace(.initiationSent(peer.publicKey, index, cause))
        send(datagram(message, to: peer, endpoint, trafficClass: Constants.handshakeTrafficClass))
    }

    private func writeInitiation(
        to peer: Peer, into message: inout [UInt8], at moment: SteadyMoment
    ) -> ReceiverIndex? {
        let timestamp = nextTimestamp(for: peer, at: moment.wall)
        let index = makeIndex()
        let ephemeral = makePrivateKey()
        var span = message.mutableSpan
        // Bytes have no padding.
        var bytes = unsafe span.mutableBytes
        do throws(HandshakeError) {
            guard let identity else { return nil }
            let staticStatic = try staticStatic(of: peer, identity)
            clearHandshake(of: peer)
            peer.handshake = try InitiatorHandshake.create(
                identity: identity, responder: peer.publicKey, staticStatic: staticStatic,
                ephemeral: ephemeral, timestamp: timestamp, localIndex: index, into: &bytes)
        } catch {
            // The peer's key is of low order: no message to it is possible.
            return nil
        }
        handshakes[index] = peer
        peer.cookie.addMACs(to: &bytes, now: moment.instant)
        return index
    }

    private func nextTimestamp(for peer: Peer, at time: WallTime) -> TAI64N {
        if peer.timestamps.last == nil, let greatest = greatestTimestamp, TAI64N(time) < greatest {
            // The clock was set back, and the peer may be one that was removed meanwhile and added
            // again: it remembers.
            peer.timestamps = InitiationTimestamps(after: greatest)
        }
        let timestamp = peer.timestamps.next(at: time)
        greatestTimestamp = max(greatestTimestamp ?? timestamp, timestamp)
        return timestamp
    }

    /// Sends an empty packet, or what waits for the peer in its place.
    func sendKeepalive(_ peer: Peer, at moment: SteadyMoment) {
        let slot = peer.slot.rawValue
        guard tables.peers[slot].endpoint.withLock({ $0 != nil }) else { return }
        if tables.peers[slot].staged.withLock({ $0.packets.isEmpty }) {
            shared.stage(StagedPacket(copying: RawSpan()), for: peer.slot, in: tables)
        }
        sendStaged(peer, at: moment)
    }

    /// Sends a keepalive when the turn is at the peer, as its timer would: so many may be asked for at
    /// once, each of them a handshake, that everything else would wait for them. The peer waits for
    /// nothing but those before it.
    func sendKeepaliveSoon(to peer: Peer, at moment: SteadyMoment) {
        tables.peers[peer.slot.rawValue].timers.persistentKeepaliveStarted(now: moment.instant)
    }

    /// Seals and sends what waits for the peer; without a usable session it goes on waiting, and a
    /// handshake begins.
    func sendStaged(_ peer: Peer, at moment: SteadyMoment) {
        let slot = peer.slot.rawValue
        let packets = shared.takeStaged(of: tables.peers[slot])
        guard !packets.isEmpty else { return }
        guard let endpoint = tables.peers[slot].endpoint.withLock({ $0 }) else { return }
        let keypair = tables.peers[slot].current.load(ordering: .acquiring)
        guard keypair != SharedPeer.noKeypair,
            tables.keypairs[keypair].maySend.load(ordering: .relaxed),
            !tables.keypairs[keypair].isExpired(now: moment.instant),
            let first = tables.keypairs[keypair].reserveCounters(packets.count)
        else {
            shared.restoreStaged(packets, of: tables.peers[slot])
            let isData = packets.contains { !$0.isEmpty }
            initiate(peer, isData ? .packetsWait : .keepaliveDue, at: moment)
            return
        }
        var hasData = false
        for (index, packet) in packets.enumerated() {
            if !packet.isEmpty { hasData = true }
            send(
                datagram(
                    seal(packet, under: keypair, counter: first + UInt64(index)), to: peer,
                    endpoint, trafficClass: ecn(of: packet)))
        }
        noteDataSent(peer, hasData: hasData, under: keypair, at: moment)
    }

    private func seal(_ packet: StagedPacket, under keypair: UInt32, counter: UInt64) -> [UInt8] {
        let mtu = shared.mtu.load(ordering: .relaxed)
        let padded = TransportData.paddedLength(packet.byteCount, mtu: mtu)
        var message = [UInt8](repeating: 0, count: TransportData.overhead + padded)
        var span = message.mutableSpan
        // Bytes have no padding.
        var bytes = unsafe span.mutableBytes
        packet.withBytes { bytes.copy($0, at: TransportData.packet) }
        TransportData.storeHeader(
            receiver: tables.keypairs[keypair].remoteIndex, counter: counter, at: 0, into: &bytes)
        let batch = FixedArray(
            repeating: AEADPacket(offset: TransportData.packet, length: padded, counter: counter),
            count: 1)
        ChaCha20Poly1305.seal(
            batch.prefix(1), in: &bytes, key: tables.keypairs[keypair].sending, using: shared.aead)
        return message
    }

    private func ecn(of packet: StagedPacket) -> UInt8 {
        packet.withBytes { ECN.encapsulated(packet: $0, at: 0, length: $0.byteCount) }
    }

    private func noteDataSent(
        _ peer: Peer, hasData: Bool, under keypair: UInt32, at moment: SteadyMoment
    ) {
        let slot = peer.slot.rawValue
        tables.peers[slot].timers.anyAuthenticatedPacketSent()
        _ = tables.peers[slot].timers.anyAuthenticatedPacketTraversal(now: moment.instant)
        if hasData {
            _ = tables.peers[slot].timers.dataSent(now: moment.instant, jitter: jitter())
        }
        schedule(peer)
        if tables.keypairs[keypair].needsRekeyAfterSending(now: moment.instant) {
            initiate(peer, .keyIsOld, at: moment)
        }
    }

    /// A message to a peer, counted.
    private func datagram(
        _ bytes: [UInt8], to peer: Peer, _ endpoint: Endpoint, trafficClass: UInt8
    ) -> UDPTransmit<[UInt8]> {
        tables.peers[peer.slot.rawValue].sentBytes.wrappingAdd(
            UInt64(bytes.count), ordering: .relaxed)
        let generation = tables.sourceGeneration.load(ordering: .relaxed)
        var datagram = UDPTransmit(
            bytes: bytes, remote: endpoint.remote,
            source: endpoint.sourceGeneration == generation ? endpoint.source : nil,
            trafficClass: trafficClass)
        datagram.peer = peer.slot
        return datagram
    }

    /// Sends a response to a peer.
    func sendResponse(_ bytes: [UInt8], to peer: Peer, at moment: SteadyMoment) {
        guard let endpoint = tables.peers[peer.slot.rawValue].endpoint.withLock({ $0 }) else {
            return
        }
        noteHandshakeSent(peer, byteCount: bytes.count, at: moment)
        send(datagram(bytes, to: peer, endpoint, trafficClass: Constants.handshakeTrafficClass))
    }

    private func noteHandshakeSent(_ peer: Peer, byteCount: Int, at moment: SteadyMoment) {
        let slot = peer.slot.rawValue
        tables.peers[slot].lastHandshakeSent.store(
            max(moment.instant.nanoseconds, 1), ordering: .relaxed)
        _ = tables.peers[slot].timers.anyAuthenticatedPacketTraversal(now: moment.instant)
        tables.peers[slot].timers.anyAuthenticatedPacketSent()
    }

    /// A random interval of at most ``Constants/maximumJitter``.
    func jitter() -> Interval {
        Interval(
            nanoseconds: random.next(below: Constants.maximumJitter.nanoseconds + 1))
    }

    /// A key pair for one message.
    func makePrivateKey() -> PrivateKey {
        PrivateKey(random: &random)
    }

    /// An index that means nothing yet.
    func makeIndex() -> ReceiverIndex {
        while true {
            let index = ReceiverIndex(rawValue: random.nextUInt32())
            if handshakes[index] == nil, tables.indices.lookup(index) == nil { return index }
        }
    }

    /// DH(our static key, the peer's), computed once for each peer and identity.
    func staticStatic(
        of peer: Peer, _ identity: StaticIdentity
    ) throws(HandshakeError) -> StaticStatic {
        if let known = peer.staticStatic { return known }
        let new = try StaticStatic(identity, peer.publicKey)
        peer.staticStatic = new
        return new
    }
}
