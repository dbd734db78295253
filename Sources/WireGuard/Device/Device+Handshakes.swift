import Packets
import Synchronization
import WireGuardCrypto

/// Received handshake messages: initiations that this host answers, and responses to its own
/// (§5.4.2, §5.4.3).
extension Device {
    /// Handles a message that the packet path queued.
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

    /// Calls `body`, and drops the message if it throws. `body` sets the peer as soon as it is known.
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

    /// Drops a message.
    func drop(
        _ message: HandshakeQueue.Message, _ reason: DropReason, _ error: HandshakeError? = nil,
        from peer: Peer? = nil
    ) {
        shared.drop(
            reason, error, peer: peer?.slot, index: message.content.index, remote: message.remote)
    }

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
        // If two initiations cross, exactly one must stay valid. If both hosts dropped theirs, as the
        // kernel does, each would answer an initiation that the other has forgotten. If neither did,
        // both would be initiators, and their rekeys would cross again every 120 s.
        if isYielding(to: peer) { clearHandshake(of: peer) }
        noteHandshakeReceived(message, from: peer, at: moment)

        var response = [UInt8](repeating: 0, count: HandshakeResponse.byteCount)
        let keys = try respond(verified, to: peer, into: &response, at: moment)
        trace(.initiationConsumed(peer.publicKey, keys.localIndex, message.remote))
        begin(keys, with: peer, at: moment)
        sendResponse(response, to: peer, at: moment)
    }

    /// Whether our initiation is dropped if one from the peer crosses it: the host with the smaller
    /// public key drops its own. A peer that always drops its own answers ours in either case.
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
        into response: inout [UInt8], at moment: SteadyMoment
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
        // The responder does not send before it received a message under the new key.
        sendKeepalive(peer, at: moment)
    }

    /// Updates endpoint, counters and timers after an authentic handshake message.
    private func noteHandshakeReceived(
        _ message: HandshakeQueue.Message, from peer: Peer, at moment: SteadyMoment
    ) {
        let slot = peer.slot.rawValue
        tables.peers[slot].follow(
            message.remote, source: message.source, tables.sourceGenerations)
        tables.peers[slot].receivedBytes.wrappingAdd(
            UInt64(message.bytes.count), ordering: .relaxed)
        withTimers(of: peer) { timers in
            timers.anyAuthenticatedPacketReceived()
            return timers.anyAuthenticatedPacketTraversal(now: moment.instant)
        }
    }

    /// Ends the retransmission of our initiation: the peer has the keys of the new session.
    func noteHandshakeComplete(_ peer: Peer, at moment: SteadyMoment) {
        withTimers(of: peer) { timers in
            timers.handshakeComplete()
            return .notNeeded
        }
        peer.cookie.expectNoReply()
        peer.lastHandshake = moment.wall
    }

    /// Forgets our initiation, and frees its index.
    func clearHandshake(of peer: Peer) {
        if let index = peer.handshake?.localIndex { handshakes[index] = nil }
        peer.handshake = nil
    }
}
