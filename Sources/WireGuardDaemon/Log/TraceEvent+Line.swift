import WireGuard

extension TraceEvent {
    /// The event as a log line. It names a peer by both ends of its public key as `wg` prints it, and an
    /// index by eight hexadecimal digits.
    var line: String {
        switch self {
        case .initiationSent(let peer, let index, let cause):
            "\(peer.name): sent initiation \(index.digits): \(cause.reason)"
        case .initiationConsumed(let peer, let index, let remote):
            "\(peer.name): accepted an initiation from \(remote), sent response \(index.digits)"
        case .responseConsumed(let peer, let index, let remote):
            "\(peer.name): accepted the response to \(index.digits) from \(remote)"
        case .keypairRotated(let peer, let index):
            "\(peer.name): keypair \(index.digits) is now current"
        case .handshakeGivenUp(let peer, let attempts):
            "\(peer.name): gave up the handshake after \(attempts) retries"
        case .noAnswer(let peer): "\(peer.name): no answer for 15 s"
        case .keysWiped(let peer): "\(peer.name): wiped all keys: they expired"
        case .cookieReplyConsumed(let peer, let index):
            "\(peer.name): received a cookie for \(index.digits): the peer is under load"
        case .dropped(let drop): drop.line
        case .leftOut(let packets, let reason, let error):
            "dropped \(packets) more, not listed: \(error?.words ?? reason.words)"
        }
    }
}

extension Drop {
    fileprivate var line: String {
        var words = packets == 1 ? "dropped a packet: " : "dropped \(packets) packets: "
        words += handshakeError?.words ?? reason.words
        if let inner { words += " (\(inner))" }
        if let peer { words += ", \(peer.name)" }
        if let index { words += ", index \(index.digits)" }
        if let remote { words += ", from \(remote)" }
        return words
    }
}

extension InitiationCause {
    fileprivate var reason: String {
        switch self {
        case .packetsWait: "packets are waiting for a session"
        case .keepaliveDue: "a keepalive is waiting for a session"
        case .keyIsOld: "the sending key is old"
        case .keyExpiresSoon: "the receiving key expires soon"
        case .noAnswer: "no answer to data for 15 s"
        case .retry(let attempt): "no response to the previous one, attempt \(attempt)"
        }
    }
}

extension DropReason {
    fileprivate var words: String {
        switch self {
        case .malformedPacket: "not an IP packet"
        case .noPeer: "no peer has its destination"
        case .noEndpoint: "its peer has no endpoint"
        case .routingLoop: "our own datagram was routed back into the tunnel"
        case .stagedOverflow: "too many packets are waiting for a session"
        case .unanswered: "no session was established in time"
        case .malformedMessage: "not a WireGuard message"
        case .unknownIndex: "unknown receiver index"
        case .expiredKeypair: "its keypair has expired"
        case .forgedMessage: "authentication failed"
        case .replayedMessage: "its counter was seen before or is too old"
        case .malformedInnerPacket: "its content is not an IP packet"
        case .disallowedSource: "its inner source is not in the peer's allowed IPs"
        case .handshakeQueueFull: "the handshake queue is full"
        case .noPrivateKey: "the interface has no private key"
        case .invalidMAC1: "invalid MAC1: it is meant for another public key"
        case .cookieRequired: "under load, and it has no valid cookie: sent one"
        case .overRate: "under load, and its source exceeds the rate limit"
        case .invalidHandshake: "not a valid handshake message"
        case .batchOverflow: "one receive returned too many packets"
        case .refusedSend: "the kernel refuses to send it"
        case .refusedWrite: "the interface refuses it"
        case .interfaceDown: "the interface is down"
        }
    }
}

extension HandshakeError {
    fileprivate var words: String {
        switch self {
        case .notAuthentic: "handshake message failed authentication"
        case .zeroSharedSecret: "handshake message with a low-order key"
        case .unknownPeer: "initiation from an unknown public key"
        case .replayedTimestamp:
            "initiation with a timestamp that is not newer than the last one: "
                + "a replay, or the peer's clock was set back"
        case .tooSoon: "initiation too soon after the previous one"
        case .unknownIndex: "response to an unknown initiation"
        }
    }
}

extension PublicKey {
    /// The first and last four characters of the key in base64.
    fileprivate var name: String {
        let text = base64
        return "peer(\(text.prefix(4))…\(text.dropLast().suffix(4)))"
    }
}

extension ReceiverIndex {
    fileprivate var digits: String {
        let text = String(rawValue, radix: 16)
        return String(repeating: "0", count: 8 - text.count) + text
    }
}
