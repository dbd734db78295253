import WireGuard

extension TraceEvent {
    /// The event in words: peers by the ends of their public keys, as `wg` writes them, and indices as
    /// eight digits.
    var line: String {
        switch self {
        case .initiationSent(let peer, let index, let cause):
            "\(peer.name): sending the initiation \(index.digits): \(cause.reason)"
        case .initiationConsumed(let peer, let index, let remote):
            "\(peer.name): accepted an initiation from \(remote), sending the response \(index.digits)"
        case .responseConsumed(let peer, let index, let remote):
            "\(peer.name): accepted the response to \(index.digits) from \(remote)"
        case .keypairRotated(let peer, let index):
            "\(peer.name): the keypair \(index.digits) is the current one"
        case .handshakeGivenUp(let peer, let attempts):
            "\(peer.name): gave up the handshake after \(attempts) more attempts"
        case .noAnswer(let peer): "\(peer.name): no answer for 15 s"
        case .keysWiped(let peer): "\(peer.name): wiped all keys, which are too old"
        case .cookieReplyConsumed(let peer, let index):
            "\(peer.name): is under load, got its cookie for \(index.digits)"
        case .dropped(let drop): drop.line
        case .leftOut(let packets, let reason, let error):
            "dropped \(packets) more that are not listed: \(error?.words ?? reason.words)"
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
        case .packetsWait: "packets wait for a session"
        case .keepaliveDue: "a keepalive waits for a session"
        case .keyIsOld: "the key that sends is old"
        case .keyExpiresSoon: "the key that receives expires soon"
        case .noAnswer: "data was not answered for 15 s"
        case .retry(let attempt): "no response to the last one, attempt \(attempt)"
        }
    }
}

extension DropReason {
    fileprivate var words: String {
        switch self {
        case .malformedPacket: "it is no IP packet"
        case .noPeer: "no peer has its destination"
        case .noEndpoint: "its peer has no endpoint"
        case .routingLoop: "it is our own datagram on its way into the tunnel"
        case .stagedOverflow: "too many wait for a session"
        case .unanswered: "it waited for a session, and none came about"
        case .malformedMessage: "it is no message of WireGuard"
        case .unknownIndex: "nobody has the index that it names"
        case .expiredKeypair: "its keypair is too old"
        case .forgedMessage: "its tag is wrong"
        case .replayedMessage: "its counter came before, or is too old"
        case .malformedInnerPacket: "what it carries is no IP packet"
        case .disallowedSource: "its inner source is none of the peer's allowed IPs"
        case .handshakeQueueFull: "too many handshake messages wait"
        case .noPrivateKey: "the interface has no private key"
        case .invalidMAC1: "its first MAC is wrong: it is meant for another public key"
        case .cookieRequired: "under load, and it has no cookie: sent one"
        case .overRate: "under load, and its source is over its rate"
        case .invalidHandshake: "it is no valid handshake message"
        case .batchOverflow: "one receive brought too many"
        case .refusedSend: "the kernel refuses to send it"
        case .refusedWrite: "the interface refuses it"
        case .interfaceDown: "the interface is down"
        }
    }
}

extension HandshakeError {
    fileprivate var words: String {
        switch self {
        case .notAuthentic: "a handshake message that is not authentic"
        case .zeroSharedSecret: "a handshake message with a key of low order"
        case .unknownPeer: "an initiation of a public key that no peer has"
        case .replayedTimestamp:
            "an initiation whose timestamp is not newer than the last one: "
                + "a replay, or the peer's clock was set back"
        case .tooSoon: "an initiation too soon after the last one"
        case .unknownIndex: "a response that nobody waits for"
        }
    }
}

extension PublicKey {
    /// The first and the last four characters of the key in base64.
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
