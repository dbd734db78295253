import Packets
import WireGuard
import WireGuardCrypto

/// One peer of the host: its key, the handshake that it waits for, and its session.
final class Member {
    let identity: StaticIdentity
    private var staticStatic: StaticStatic?
    private var handshake: InitiatorHandshake?
    private var session: Session?
    private var timestamps = InitiationTimestamps()

    private struct Session: ~Copyable {
        let keys: SessionKeys
        var nextCounter: UInt64 = 0
    }

    init(_ key: consuming PrivateKey) {
        identity = StaticIdentity(key)
    }

    var hasSession: Bool {
        switch session {
        case .some: true
        case .none: false
        }
    }

    // MARK: Handshakes

    /// Writes an initiation, which `index` will be named by.
    func initiate(
        _ host: Host, index: UInt32, now: WallTime, into message: inout MutableRawSpan
    ) throws(HandshakeError) {
        var random = SystemRandom()
        handshake = try InitiatorHandshake.create(
            identity: identity, responder: host.publicKey, staticStatic: staticStatic(with: host),
            ephemeral: PrivateKey(random: &random), timestamp: timestamps.next(at: now),
            localIndex: ReceiverIndex(rawValue: index), into: &message)
    }

    /// Takes a response; the session is there then.
    func consume(response: RawSpan) throws(HandshakeError) {
        let presharedKey = PresharedKey()
        guard
            let keys = try handshake?.consumeResponse(
                response, identity: identity, presharedKey: presharedKey)
        else { throw .unknownIndex }
        handshake = nil
        session = Session(keys: keys)
    }

    /// Answers an initiation of the host.
    func respond(
        to message: RawSpan, _ host: Host, index: UInt32, into response: inout MutableRawSpan
    ) throws(HandshakeError) {
        var random = SystemRandom()
        var handshake = try ResponderHandshake(initiation: message, identity: identity)
        guard handshake.initiator == host.publicKey else { throw .unknownPeer }
        _ = try handshake.openTimestamp(message, staticStatic: staticStatic(with: host))
        let presharedKey = PresharedKey()
        session = Session(
            keys: try handshake.createResponse(
                ephemeral: PrivateKey(random: &random), presharedKey: presharedKey,
                localIndex: ReceiverIndex(rawValue: index), into: &response))
    }

    private func staticStatic(with host: Host) throws(HandshakeError) -> StaticStatic {
        if let staticStatic { return staticStatic }
        let new = try StaticStatic(identity, host.publicKey)
        staticStatic = new
        return new
    }

    // MARK: Packets

    /// Seals the `length` bytes of a packet that begins 16 bytes behind `offset`; they are followed by
    /// room for the tag.
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

    /// Opens a message in place; whether it was of this session.
    func open(at offset: Int, length: Int, in buffer: inout MutableRawSpan) -> Bool {
        switch session {
        case .none: return false
        case .some(let session):
            var packet = FixedArray(
                repeating: AEADPacket(
                    offset: offset + TransportData.packet, length: length - TransportData.packet,
                    counter: buffer.bytes.loadLittleEndian(
                        at: offset + TransportData.counter, as: UInt64.self)),
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
