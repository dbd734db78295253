import Packets
import Synchronization
import WireGuardCrypto

extension Device {
    /// Sends an initiation, unless a handshake message was sent to the peer within Rekey-Timeout. An
    /// initiation that is not a retry resets the count of attempts.
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
        let jitter = jitter()
        withTimers(of: peer) { $0.handshakeInitiated(now: moment.instant, jitter: jitter) }
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
            // The clock was set back. The peer may have been removed and added again since, and
            // remembers our old timestamps.
            peer.timestamps = InitiationTimestamps(after: greatest)
        }
        let timestamp = peer.timestamps.next(at: time)
        greatestTimestamp = max(greatestTimestamp ?? timestamp, timestamp)
        return timestamp
    }

    /// Sends the staged packets of the peer, or a keepalive if there are none.
    func sendKeepalive(_ peer: Peer, at moment: SteadyMoment) {
        let slot = peer.slot.rawValue
        guard tables.peers[slot].endpoint.withLock({ $0 != nil }) else { return }
        if tables.peers[slot].staged.withLock({ $0.packets.isEmpty }) {
            shared.stage(StagedPacket(copying: RawSpan()), for: peer.slot, in: tables)
        }
        sendStaged(peer, at: moment)
    }

    /// Makes a keepalive to the peer due now. A configuration can ask for very many at once, each with
    /// a handshake; as timers they are sent in small portions, between the device's other work.
    func sendKeepaliveSoon(to peer: Peer, at moment: SteadyMoment) {
        withTimers(of: peer) { $0.persistentKeepaliveStarted(now: moment.instant) }
    }

    /// Seals and sends the staged packets of the peer. Without a usable session the packets stay
    /// staged, and a handshake starts.
    func sendStaged(_ peer: Peer, at moment: SteadyMoment) {
        let slot = peer.slot.rawValue
        guard let endpoint = tables.peers[slot].endpoint.withLock({ $0 }) else { return }
        let packets = shared.takeStaged(of: peer.slot, in: tables)
        guard !packets.isEmpty else { return }
        let keypair = tables.peers[slot].current.load(ordering: .acquiring)
        guard keypair != SharedPeer.noKeypair,
            tables.keypairs[keypair].maySend.load(ordering: .relaxed),
            !tables.keypairs[keypair].isExpired(now: moment.instant),
            let first = tables.keypairs[keypair].reserveCounters(packets.count)
        else {
            shared.restoreStaged(packets, for: peer.slot, in: tables)
            let isData = packets.contains { !$0.isKeepalive }
            initiate(peer, isData ? .packetsWait : .keepaliveDue, at: moment)
            return
        }
        var hasData = false
        for (index, packet) in packets.enumerated() {
            if !packet.isKeepalive { hasData = true }
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
        let jitter = hasData ? jitter() : nil
        withTimers(of: peer) { timers in
            timers.anyAuthenticatedPacketSent()
            let wake = timers.anyAuthenticatedPacketTraversal(now: moment.instant)
            guard let jitter else { return wake }
            return wake | timers.dataSent(now: moment.instant, jitter: jitter)
        }
        if tables.keypairs[keypair].needsRekeyAfterSending(now: moment.instant) {
            initiate(peer, .keyIsOld, at: moment)
        }
    }

    /// A message as a datagram to a peer; counts its bytes as sent, and asks about the route if it may have
    /// changed.
    private func datagram(
        _ bytes: [UInt8], to peer: Peer, _ endpoint: Endpoint, trafficClass: UInt8
    ) -> UDPTransmit<[UInt8]> {
        tables.peers[peer.slot.rawValue].sentBytes.wrappingAdd(
            UInt64(bytes.count), ordering: .relaxed)
        let generations = tables.sourceGenerations
        if endpoint.needsCheck(generations) { unchecked.insert(peer.slot) }
        var datagram = UDPTransmit(
            bytes: bytes, remote: endpoint.remote, source: endpoint.usableSource(generations),
            trafficClass: trafficClass)
        datagram.peer = peer.slot
        return datagram
    }

    /// Sends a response.
    func sendResponse(_ bytes: [UInt8], to peer: Peer, at moment: SteadyMoment) {
        guard let endpoint = tables.peers[peer.slot.rawValue].endpoint.withLock({ $0 }) else {
            return
        }
        noteHandshakeSent(peer, byteCount: bytes.count, at: moment)
        send(datagram(bytes, to: peer, endpoint, trafficClass: Constants.handshakeTrafficClass))
    }

    private func noteHandshakeSent(_ peer: Peer, byteCount: Int, at moment: SteadyMoment) {
        tables.peers[peer.slot.rawValue].lastHandshakeSent.store(
            max(moment.instant.nanoseconds, 1), ordering: .relaxed)
        withTimers(of: peer) { timers in
            timers.anyAuthenticatedPacketSent()
            return timers.anyAuthenticatedPacketTraversal(now: moment.instant)
        }
    }

    /// A random interval from zero to ``Constants/maximumJitter``.
    func jitter() -> Interval {
        Interval(
            nanoseconds: random.next(below: Constants.maximumJitter.nanoseconds + 1))
    }

    /// A new ephemeral key.
    func makePrivateKey() -> PrivateKey {
        PrivateKey(random: &random)
    }

    /// A random index that no handshake or session uses.
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
