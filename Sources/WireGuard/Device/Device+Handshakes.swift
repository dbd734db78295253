import Packets
import Synchronization
import WireGuardCrypto

extension Device {
    /// Handles a handshake message or cookie reply that the packet path queued; its length and type
    /// were checked there.
    func handle(_ message: HandshakeQueue.Message, at moment: SteadyMoment) {
        guard isUp else { return shared.drop(.interfaceDown, remote: message.remote) }
        switch message.content {
        case .initiation(let initiation):
            guard passesChecker(initiation.macs, of: message, sender: initiation.sender, at: moment)
            else { return }
            accept(from: message) { peer throws(HandshakeError) in
                try consume(initiation, message, from: &peer, at: moment)
            }
        case .response(let response):
            guard passesChecker(response.macs, of: message, sender: response.sender, at: moment)
            else { return }
            accept(from: message) { peer throws(HandshakeError) in
                try consume(response, message, from: &peer, at: moment)
            }
        case .cookieReply(let reply):
            consume(reply, message, at: moment)
        }
    }

    /// Runs `body`, which says whose message it is as soon as it knows.
    private func accept(
        from message: HandshakeQueue.Message,
        _ body: (inout Peer?) throws(HandshakeError) -> Void
    ) {
        var peer: Peer?
        do throws(HandshakeError) {
            try body(&peer)
        } catch {
            drop(message, .invalidHandshake, error, from: peer)
        }
    }

    /// A message goes no further.
    private func drop(
        _ message: HandshakeQueue.Message, _ reason: DropReason, _ error: HandshakeError? = nil,
        from peer: Peer? = nil
    ) {
        shared.drop(
            reason, error, peer: peer?.slot, index: message.content.index, remote: message.remote)
    }

    // MARK: Cookies

    /// mac1 always; under load mac2 and the source's rate too, and a cookie where mac2 is missing
    /// (§5.3).
    private func passesChecker(
        _ macs: MACs, of message: HandshakeQueue.Message, sender: ReceiverIndex,
        at moment: SteadyMoment
    ) -> Bool {
        guard checker != nil else {
            drop(message, .noPrivateKey)
            return false
        }
        let isUnderLoad = load.isUnderLoad(
            queued: message.waiting, capacity: Constants.handshakeQueueLength, now: moment.instant)
        guard
            let reason = refusal(
                of: macs, from: message.remote, isUnderLoad: isUnderLoad, at: moment)
        else { return true }
        if reason == .cookieRequired {
            sendCookieReply(to: macs, of: message, sender: sender, at: moment)
        }
        drop(message, reason)
        return false
    }

    /// Why the MACs of a message are not accepted, nil if they are.
    private func refusal(
        of macs: MACs, from remote: SocketAddress, isUnderLoad: Bool, at moment: SteadyMoment
    ) -> DropReason? {
        guard checker?.hasValidMAC1(macs) == true else { return .invalidMAC1 }
        guard isUnderLoad else { return nil }
        guard checker?.hasValidMAC2(macs, from: remote, now: moment.instant) == true
        else { return .cookieRequired }
        return limiter.admits(remote.address, now: moment.instant) ? nil : .overRate
    }

    private func sendCookieReply(
        to macs: MACs, of message: HandshakeQueue.Message, sender: ReceiverIndex,
        at moment: SteadyMoment
    ) {
        var reply = [UInt8](repeating: 0, count: CookieReply.byteCount)
        var span = reply.mutableSpan
        // Bytes have no padding.
        var replyBytes = unsafe span.mutableBytes
        checker?.makeReply(
            to: macs, sender: sender, from: message.remote, now: moment.instant, random: &random,
            into: &replyBytes)
        send(
            UDPTransmit(bytes: reply, remote: message.remote, source: message.source))
    }

    /// Takes the cookie from a reply to a handshake or a session of ours.
    private func consume(
        _ reply: CookieReply, _ message: HandshakeQueue.Message, at moment: SteadyMoment
    ) {
        let index = reply.receiver
        let peer =
            handshakes[index]
            ?? tables.indices.lookup(index).flatMap { self.peer(tables.keypairs[$0].peer) }
        guard let peer else { return drop(message, .unknownIndex) }
        guard peer.cookie.consume(reply, now: moment.instant) else {
            return drop(message, .invalidHandshake, .notAuthentic, from: peer)
        }
        trace(.cookieReplyConsumed(peer.publicKey, index))
    }

    // MARK: Handshakes

    /// Opens an initiation and sends the response (§5.4.2, §5.4.3).
    ///
    /// - Parameter known: set to the peer as soon as it is known, also if the call then fails.
    private func consume(
        _ initiation: HandshakeInitiation, _ message: HandshakeQueue.Message,
        from known: inout Peer?, at moment: SteadyMoment
    ) throws(HandshakeError) {
        guard let identity else { throw .unknownPeer }
        let received = try ResponderHandshake.Received(initiation, identity: identity)
        guard let peer = peersByKey[received.initiator] else { throw .unknownPeer }
        known = peer
        let staticStatic = try staticStatic(of: peer, identity)
        let verified = try received.openTimestamp(staticStatic: staticStatic)
            .verifyTimestamp(after: peer.greatestTimestamp)
        if let last = peer.lastInitiation,
            moment.instant.since(last) < Constants.initiationInterval
        {
            throw .tooSoon
        }

        // The message is authentic and new: state changes only from here on.
        peer.greatestTimestamp = verified.timestamp
        peer.lastInitiation = moment.instant
        // Of two initiations that cross, one stays valid and its response is taken: if both ends let
        // go of theirs, as the kernel does, both answer what the other has forgotten; if neither did,
        // both would be initiators, whose sessions end and cross again every 120 s.
        if isYielding(to: peer) { clearHandshake(of: peer) }
        noteHandshakeReceived(message, from: peer, at: moment)

        var response = [UInt8](repeating: 0, count: HandshakeResponse.byteCount)
        let keys = try respond(verified, to: peer, into: &response, at: moment)
        trace(.initiationConsumed(peer.publicKey, keys.localIndex, message.remote))
        begin(keys, with: peer, at: moment)
        sendResponse(response, to: peer, at: moment)
        schedule(peer)
    }

    /// Whether it is our initiation that goes when one of the peer crosses it: that of the smaller
    /// public key. A peer that always lets go of its own answers ours, whichever key is smaller.
    private func isYielding(to peer: Peer) -> Bool {
        guard let identity else { return true }
        let ours = identity.publicKey.bytes
        let theirs = peer.publicKey.bytes
        for index in 0..<min(ours.byteCount, theirs.byteCount)
        where ours.byte(at: index) != theirs.byte(at: index) {
            return ours.byte(at: index) < theirs.byte(at: index)
        }
        return true
    }

    private func respond(
        _ initiation: consuming ResponderHandshake.Verified, to peer: Peer,
        into response: inout [UInt8],
        at moment: SteadyMoment
    ) throws(HandshakeError) -> SessionKeys {
        let ephemeral = makePrivateKey()
        let index = makeIndex()
        var span = response.mutableSpan
        // Bytes have no padding.
        var bytes = unsafe span.mutableBytes
        let keys = try initiation.createResponse(
            ephemeral: ephemeral, presharedKey: peer.presharedKey, localIndex: index, into: &bytes)
        peer.cookie.addMACs(to: &bytes, now: moment.instant)
        return keys
    }

    /// Opens a response to one of our initiations and starts the session (§5.4.3).
    ///
    /// - Parameter known: set to the peer as soon as it is known, also if the call then fails.
    private func consume(
        _ response: HandshakeResponse, _ message: HandshakeQueue.Message,
        from known: inout Peer?, at moment: SteadyMoment
    ) throws(HandshakeError) {
        let index = response.receiver
        guard let identity, let peer = handshakes[index] else { throw .unknownIndex }
        known = peer
        guard
            let keys = try peer.handshake?.consumeResponse(
                response, identity: identity, presharedKey: peer.presharedKey)
        else { throw .unknownIndex }

        // The message is authentic: state changes only from here on. The keypair takes over the index.
        handshakes[index] = nil
        peer.handshake = nil
        trace(.responseConsumed(peer.publicKey, index, message.remote))
        noteHandshakeReceived(message, from: peer, at: moment)
        begin(keys, with: peer, at: moment)
        noteHandshakeComplete(peer, at: moment)
        // What waits, or an empty packet: the responder must see the new key used.
        sendKeepalive(peer, at: moment)
        schedule(peer)
    }

    /// Endpoint, counters and timers after an authentic handshake message.
    private func noteHandshakeReceived(
        _ message: HandshakeQueue.Message, from peer: Peer, at moment: SteadyMoment
    ) {
        let slot = peer.slot.rawValue
        let generation = tables.sourceGeneration.load(ordering: .relaxed)
        tables.peers[slot].move(
            to: Endpoint(
                remote: message.remote, source: message.source, sourceGeneration: generation))
        tables.peers[slot].receivedBytes.wrappingAdd(
            UInt64(message.bytes.count), ordering: .relaxed)
        tables.peers[slot].timers.anyAuthenticatedPacketReceived()
        _ = tables.peers[slot].timers.anyAuthenticatedPacketTraversal(now: moment.instant)
    }

    private func noteHandshakeComplete(_ peer: Peer, at moment: SteadyMoment) {
        tables.peers[peer.slot.rawValue].timers.handshakeComplete()
        peer.cookie.expectNoReply()
        peer.lastHandshake = moment.wall
    }

    // MARK: Sessions

    /// Makes a keypair of what the handshake derived (§5.4.5).
    private func begin(_ keys: consuming SessionKeys, with peer: Peer, at moment: SteadyMoment) {
        let role = keys.role
        let index = keys.localIndex
        let keypair = keys.makeKeypair(peer: peer.slot, created: moment.instant)
        makeRoomForIndex()
        changeKeypairs(of: peer, adding: keypair) { keypairs, slot, tables in
            guard let slot else { return [] }
            tables.indices.insert(index, keypair: slot)
            return keypairs.insert(slot, role: role)
        }
        _ = tables.peers[peer.slot.rawValue].timers.sessionDerived(now: moment.instant)
    }

    /// Lets the table of indices grow while messages are looked up in it.
    private func makeRoomForIndex() {
        guard tables.indices.isFull else { return }
        var larger = tables.indices.grown()
        control.exclusively { tables in swap(&tables.indices, &larger) }
    }

    /// The first message under the next keypair came: the peer has it (§5.4.5, key confirmation).
    /// The packet path sends under it already.
    func confirmNextKeypair(of peer: Peer, at moment: SteadyMoment) {
        changeKeypairs(of: peer, adding: nil) { _, _, _ in [] }
        // An initiation of ours that crossed the peer's is not needed any more.
        clearHandshake(of: peer)
        noteHandshakeComplete(peer, at: moment)
        sendStaged(peer, at: moment)
    }

    func clearKeypairs(of peer: Peer) {
        guard !peer.keypairs.all.isEmpty else { return }
        changeKeypairs(of: peer, adding: nil) { keypairs, _, _ in keypairs.removeAll() }
    }

    func clearHandshake(of peer: Peer) {
        if let index = peer.handshake?.localIndex { handshakes[index] = nil }
        peer.handshake = nil
    }

    /// Changes a peer's keypairs while the packet path stands still, frees what falls out, and tells
    /// the packet path which one sends.
    private func changeKeypairs(
        of peer: Peer, adding keypair: consuming Keypair?,
        _ change: (inout Keypairs, UInt32?, inout SharedTables) -> [UInt32]
    ) {
        var added: Keypair? = keypair
        let peerIndex = peer.slot.rawValue
        let before = peer.keypairs.current
        control.exclusively { tables in
            // What the packet path confirmed since we looked last.
            if let next = peer.keypairs.next,
                tables.peers[peerIndex].current.load(ordering: .acquiring) == next
            {
                free(peer.keypairs.confirmNext(), in: &tables)
            }
            let slot: UInt32? =
                switch added.take() {
                case .some(let keypair): tables.keypairs.insert(keypair)
                case .none: nil
                }
            free(change(&peer.keypairs, slot, &tables), in: &tables)
            tables.peers[peerIndex].current.store(
                peer.keypairs.current ?? SharedPeer.noKeypair, ordering: .releasing)
            tables.peers[peerIndex].next.store(
                peer.keypairs.next ?? SharedPeer.noKeypair, ordering: .releasing)
        }
        if let current = peer.keypairs.current, current != before {
            trace(.keypairRotated(peer.publicKey, tables.keypairs[current].localIndex))
        }
    }

    /// To be called while the packet path stands still.
    private func free(_ slots: [UInt32], in tables: inout SharedTables) {
        for slot in slots {
            tables.indices.remove(tables.keypairs[slot].localIndex)
            tables.keypairs.remove(slot)
        }
    }
}
