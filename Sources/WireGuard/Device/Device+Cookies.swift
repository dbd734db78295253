import Packets

/// Protection against floods of handshake messages (§5.3, §5.4.7).
extension Device {
    /// Checks mac1 and, under load, mac2 and the rate of the source (§5.3). Drops a message that fails
    /// a check; answers it with a cookie if mac2 is the reason.
    func passesChecker(
        _ macs: MACs, of message: HandshakeQueue.Message, sender: ReceiverIndex,
        at moment: SteadyMoment
    ) -> Bool {
        guard checker != nil else {
            drop(message, .noPrivateKey)
            return false
        }
        guard let reason = refusal(of: macs, of: message, at: moment) else { return true }
        if reason == .cookieRequired {
            sendCookieReply(to: macs, of: message, sender: sender, at: moment)
        }
        drop(message, reason)
        return false
    }

    /// Why the MACs of a message are not accepted, nil if they are.
    private func refusal(
        of macs: MACs, of message: HandshakeQueue.Message, at moment: SteadyMoment
    ) -> DropReason? {
        // The worker checked mac1 too, but perhaps with a private key that was replaced since.
        guard checker?.hasValidMAC1(macs) == true else { return .invalidMAC1 }
        let isUnderLoad = load.isUnderLoad(
            queued: message.waiting, capacity: Constants.handshakeQueueLength, now: moment.instant)
        guard isUnderLoad else { return nil }
        guard checker?.hasValidMAC2(macs, from: message.remote, now: moment.instant) == true
        else { return .cookieRequired }
        return limiter.admits(message.remote.address, now: moment.instant) ? nil : .overRate
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
        send(UDPTransmit(bytes: reply, remote: message.remote, source: message.source))
    }

    /// Takes the cookie from the reply to one of our initiations or responses.
    func consume(
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
}
