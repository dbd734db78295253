import WireGuard

extension TraceEvent {
    /// The event in words, the peer by the ends of its public key, as `wg` writes it.
    var line: String {
        switch self {
        case .initiationSent(let peer, retry: false): "\(peer.shortName): sending an initiation"
        case .initiationSent(let peer, retry: true):
            "\(peer.shortName): sending the initiation again"
        case .initiationConsumed(let peer, let remote):
            "\(peer.shortName): accepted an initiation from \(remote), sending a response"
        case .responseConsumed(let peer, let remote):
            "\(peer.shortName): accepted a response from \(remote), the session begins"
        case .keyConfirmed(let peer): "\(peer.shortName): uses the new session, which begins"
        case .handshakeGivenUp(let peer, let attempts):
            "\(peer.shortName): gave up the handshake after \(attempts) more attempts"
        case .noAnswer(let peer): "\(peer.shortName): no answer for 15 s, trying a new handshake"
        case .keysWiped(let peer): "\(peer.shortName): wiped all keys, which are too old"
        case .handshakeRefused(let remote, let error?):
            "refused a handshake message from \(remote): \(error.reason)"
        case .handshakeRefused(let remote, nil):
            "refused a handshake message from \(remote): its MACs or its rate"
        case .cookieReplySent(let remote): "under load: sent a cookie to \(remote)"
        case .cookieReplyConsumed(let peer): "\(peer.shortName): is under load, got its cookie"
        }
    }
}

extension HandshakeError {
    fileprivate var reason: String {
        switch self {
        case .notAuthentic: "it is not authentic"
        case .zeroSharedSecret: "its key is of low order"
        case .unknownPeer: "no peer has this public key"
        case .replayedTimestamp:
            "its timestamp is not newer than the last one: a replay, or the peer's clock was set back"
        case .tooSoon: "it came too soon after the last one"
        case .unknownIndex: "nobody waits for it"
        }
    }
}

extension PublicKey {
    /// The first and the last four characters of the key in base64.
    fileprivate var shortName: String {
        let text = base64
        return "peer(\(text.prefix(4))…\(text.dropLast().suffix(4)))"
    }
}
