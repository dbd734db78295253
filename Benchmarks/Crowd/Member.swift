import Packets
import WireGuard
import WireGuardCrypto

/// One peer of the host: its key, its pending handshake, and its session.
final class Member {
    let identity: StaticIdentity
    private var staticStatic: StaticStatic?
    private var handshake: InitiatorHandshake?
    /// The MACs of its messages, with the latest cookie of the host.
    private var macs: LatestCookie
    private var session: Session?
    /// The session of its last response, until the host uses it.
    private var next: Session?
    /// The number of handshakes that it initiated or answered.
    private var handshakes: UInt32 = 0
    /// The local index of the last handshake.
    private var localIndex: UInt32 = 0
    private var timestamps = InitiationTimestamps()

    private struct Session: ~Copyable {
        let keys: SessionKeys
        let localIndex: UInt32
        var nextCounter: UInt64 = 0
    }

    /// The outcome of opening a message.
    enum Opened {
        case nothing
        case packet
        /// The first packet of a new session that the host initiated.
        case firstPacket
    }

    init(_ key: consuming PrivateKey, of host: Host) {
        identity = StaticIdentity(key)
        macs = LatestCookie(publicKey: host.publicKey)
    }

    /// The number of the member with this index. The highest byte distinguishes its handshakes.
    static func number(of index: UInt32) -> Int {
        Int(index & 0xFF_FFFF)
    }

    /// Whether the index belongs to an earlier handshake than the last one.
    func isSuperseded(_ index: UInt32) -> Bool {
        let age = (handshakes &- index >> 24) & 0xFF
        return age > 0 && age < handshakes
    }

    private func nextIndex(of number: Int) -> UInt32 {
        handshakes += 1
        return UInt32(number) | handshakes << 24
    }

    var hasSession: Bool {
        switch session {
        case .some: true
        case .none: false
        }
    }

    // MARK: Handshakes

    /// Writes an initiation. `number` is the member's own number.
    func initiate(
        _ host: Host, number: Int, now: WallTime, instant: Instant,
        into message: inout MutableRawSpan
    ) throws(HandshakeError) {
        localIndex = nextIndex(of: number)
        var random = SystemRandom()
        handshake = try InitiatorHandshake.create(
            identity: identity, responder: host.publicKey, staticStatic: staticStatic(with: host),
            ephemeral: PrivateKey(random: &random), timestamp: timestamps.next(at: now),
            localIndex: ReceiverIndex(rawValue: localIndex), into: &message)
        macs.addMACs(to: &message, now: instant)
    }

    /// Processes a response, which creates the session.
    func consume(_ response: HandshakeResponse) throws(HandshakeError) {
        let presharedKey = PresharedKey()
        guard
            let keys = try handshake?.consumeResponse(
                response, identity: identity, presharedKey: presharedKey)
        else { throw .unknownIndex }
        handshake = nil
        macs.expectNoReply()
        session = Session(keys: keys, localIndex: localIndex)
    }

    /// Stores the cookie for the next message. Returns whether the reply is valid.
    func consume(_ reply: CookieReply, now: Instant) -> Bool {
        macs.consume(reply, now: now)
    }

    /// Answers an initiation of the host. `number` is the member's own number.
    func respond(
        to initiation: HandshakeInitiation, _ host: Host, number: Int, now: Instant,
        into response: inout MutableRawSpan
    ) throws(HandshakeError) {
        var random = SystemRandom()
        let received = try ResponderHandshake.Received(initiation, identity: identity)
        guard received.initiator == host.publicKey else { throw .unknownPeer }
        let verified = try received.openTimestamp(staticStatic: staticStatic(with: host))
            .verifyTimestamp(after: nil)
        let presharedKey = PresharedKey()
        localIndex = nextIndex(of: number)
        next = Session(
            keys: try verified.createResponse(
                ephemeral: PrivateKey(random: &random), presharedKey: presharedKey,
                localIndex: ReceiverIndex(rawValue: localIndex), into: &response),
            localIndex: localIndex)
        macs.addMACs(to: &response, now: now)
    }

    private func staticStatic(with host: Host) throws(HandshakeError) -> StaticStatic {
        if let staticStatic { return staticStatic }
        let new = try StaticStatic(identity, host.publicKey)
        staticStatic = new
        return new
    }

    // MARK: Packets

    /// Seals a packet of `length` bytes at `offset` + 16 and writes the header at `offset`.
    ///
    /// The buffer must have room for the tag after the packet.
    func seal(at offset: Int, length: Int, in buffer: inout MutableRawSpan) {
        guard let counter = session?.nextCounter else { return }
        session?.nextCounter += 1
        switch session {
        case .none: return
        case .some(let session):
            TransportData.storeHeader(
                receiver: session.keys.remoteIndex, counter: counter, at: offset, into: &buffer)
            let packet = FixedArray(
                repeating: AEADPacket(
                    offset: offset + TransportData.packet, length: length, counter: counter),
                count: 1)
            ChaCha20Poly1305.seal(
                packet.prefix(1), in: &buffer, key: session.keys.sending, using: .fastest)
        }
    }

    /// Opens a message to the session with this local index, in place.
    func open(
        at offset: Int, length: Int, index: ReceiverIndex, counter: UInt64,
        in buffer: inout MutableRawSpan
    ) -> Opened {
        if Self.open(next, at: offset, length, index, counter, &buffer) {
            session = next.take()
            macs.expectNoReply()
            return .firstPacket
        }
        return Self.open(session, at: offset, length, index, counter, &buffer) ? .packet : .nothing
    }

    private static func open(
        _ session: borrowing Session?, at offset: Int, _ length: Int, _ index: ReceiverIndex,
        _ counter: UInt64, _ buffer: inout MutableRawSpan
    ) -> Bool {
        switch session {
        case .none: return false
        case .some(let session):
            guard session.localIndex == index.rawValue else { return false }
            var packet = FixedArray(
                repeating: AEADPacket(
                    offset: offset + TransportData.packet, length: length - TransportData.packet,
                    counter: counter),
                count: 1)
            do {
                var span = packet.mutablePrefix(1)
                ChaCha20Poly1305.open(
                    &span, in: &buffer, key: session.keys.receiving, using: .fastest)
            }
            return packet[0].isAuthentic
        }
    }
}
