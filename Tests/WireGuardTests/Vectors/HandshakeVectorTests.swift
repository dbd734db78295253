import Testing
import WireGuardCrypto

@testable import WireGuard

@Suite("The handshake makes the bytes of the vectors")
struct HandshakeVectorTests {
    static let cases = VectorFile("noise-handshake.json").cases

    @Test("initiation, response and keys, on both sides", arguments: cases)
    func handshake(_ vector: VectorFile.Case) throws {
        let initiator = StaticIdentity(privateKey(vector.bytes("initiatorStaticPrivate")))
        let responder = StaticIdentity(privateKey(vector.bytes("responderStaticPrivate")))
        expect(array(initiator.publicKey.bytes), is: vector.bytes("initiatorStaticPublic"))
        expect(array(responder.publicKey.bytes), is: vector.bytes("responderStaticPublic"))
        let preshared = presharedKey(vector.bytes("presharedKey"))
        let initiatorIndex = ReceiverIndex(rawValue: UInt32(vector.number("initiatorIndex")))
        let responderIndex = ReceiverIndex(rawValue: UInt32(vector.number("responderIndex")))
        let stamp = timestamp(vector.bytes("timestamp"))

        // The first message, there.
        var initiation = [UInt8](repeating: 0, count: HandshakeInitiation.byteCount)
        var cookie = LatestCookie(publicKey: responder.publicKey)
        let staticStatic = try StaticStatic(initiator, responder.publicKey)
        var optional: InitiatorHandshake?
        try initiation.edit { bytes throws(HandshakeError) in
            optional = try InitiatorHandshake.create(
                identity: initiator, responder: responder.publicKey, staticStatic: staticStatic,
                ephemeral: privateKey(vector.bytes("initiatorEphemeralPrivate")),
                timestamp: stamp, localIndex: initiatorIndex, into: &bytes)
            cookie.addMACs(to: &bytes, now: Instant(nanoseconds: 1))
        }
        #expect(initiation == vector.bytes("initiation"))

        // And back.
        let checker = CookieChecker(publicKey: responder.publicKey)
        #expect(withBytes(initiation) { checker.hasValidMAC1($0) })
        var received = try receive(initiation, responder)
        expect(received.initiator, is: initiator.publicKey)
        let read = try openTimestamp(
            initiation, &received, try StaticStatic(responder, initiator.publicKey))
        #expect(read == stamp)
        var response = [UInt8](repeating: 0, count: HandshakeResponse.byteCount)
        var answerCookie = LatestCookie(publicKey: initiator.publicKey)
        let responderKeys = try respond(
            received, vector, preshared, responderIndex, into: &response, &answerCookie)
        #expect(response == vector.bytes("response"))

        guard let handshake = optional.take() else { Issue.record("no handshake"); return }
        let initiatorKeys = try open(response, handshake, initiator, preshared)
        let there = vector.bytes("initiatorSendingKey")
        let back = vector.bytes("responderSendingKey")
        expect(array(initiatorKeys.sending.bytes), is: there)
        expect(array(initiatorKeys.receiving.bytes), is: back)
        expect(array(responderKeys.sending.bytes), is: back)
        expect(array(responderKeys.receiving.bytes), is: there)
        expect(initiatorKeys.localIndex, is: initiatorIndex)
        expect(initiatorKeys.remoteIndex, is: responderIndex)
        expect(responderKeys.localIndex, is: responderIndex)
        expect(responderKeys.remoteIndex, is: initiatorIndex)
    }

    @Test("the intermediate hashes and chaining keys are the paper's", arguments: cases)
    func steps(_ vector: VectorFile.Case) {
        let responder = publicKey(vector.bytes("responderStaticPublic"))
        var state = SymmetricState(responder: responder)
        expect(array(state.chainingKey.bytes), is: vector.bytes("constructionChainingKey"))
        expect(array(state.hash.bytes), is: vector.bytes("responderStaticHash"))
        let ephemeral = publicKey(vector.bytes("initiatorEphemeralPublic"))
        state.mixKey(ephemeral.bytes)
        state.mixHash(ephemeral.bytes)
        expect(array(state.chainingKey.bytes), is: vector.bytes("initiationEChainingKey"))
        expect(array(state.hash.bytes), is: vector.bytes("initiationEHash"))
    }

    @Test("a bit that is flipped anywhere in an initiation is noticed")
    func flippedInitiation() throws {
        let vector = Self.cases[0]
        let responder = StaticIdentity(privateKey(vector.bytes("responderStaticPrivate")))
        let checker = CookieChecker(publicKey: responder.publicKey)
        let initiation = vector.bytes("initiation")
        for index in 0..<HandshakeInitiation.mac2 {
            var changed = initiation
            changed[index] ^= 1
            #expect(!withBytes(changed) { checker.hasValidMAC1($0) }, "byte \(index)")
        }
        let staticStatic = try StaticStatic(
            responder, publicKey(vector.bytes("initiatorStaticPublic")))
        // The MACs and the sender index are no part of the noise; all else is.
        for index in HandshakeInitiation.ephemeral..<HandshakeInitiation.mac1 {
            var changed = initiation
            changed[index] ^= 0x80
            #expect(throws: HandshakeError.notAuthentic, "byte \(index)") {
                var handshake = try receive(changed, responder)
                _ = try openTimestamp(changed, &handshake, staticStatic)
            }
        }
    }

    @Test("an ephemeral or static key of low order ends the handshake", arguments: [0, 1])
    func lowOrder(_ first: UInt8) {
        let vector = Self.cases[0]
        let responder = StaticIdentity(privateKey(vector.bytes("responderStaticPrivate")))
        var low = [UInt8](repeating: 0, count: 32)
        low[0] = first
        var initiation = vector.bytes("initiation")
        initiation.replaceSubrange(HandshakeInitiation.ephemeral..<40, with: low)
        #expect(throws: HandshakeError.zeroSharedSecret) { _ = try receive(initiation, responder) }
        #expect(throws: HandshakeError.zeroSharedSecret) {
            _ = try StaticStatic(responder, publicKey(low))
        }
    }

    // MARK: Steps

    private func receive(
        _ initiation: [UInt8], _ identity: StaticIdentity
    ) throws(HandshakeError) -> ResponderHandshake {
        // Bytes have no padding.
        try ResponderHandshake(initiation: unsafe initiation.span.bytes, identity: identity)
    }

    private func openTimestamp(
        _ initiation: [UInt8], _ handshake: inout ResponderHandshake, _ staticStatic: StaticStatic
    ) throws(HandshakeError) -> TAI64N {
        // Bytes have no padding.
        try handshake.openTimestamp(unsafe initiation.span.bytes, staticStatic: staticStatic)
    }

    private func respond(
        _ handshake: consuming ResponderHandshake, _ vector: VectorFile.Case,
        _ presharedKey: borrowing PresharedKey, _ index: ReceiverIndex,
        into response: inout [UInt8], _ cookie: inout LatestCookie
    ) throws(HandshakeError) -> SessionKeys {
        var span = response.mutableSpan
        // Bytes have no padding.
        var bytes = unsafe span.mutableBytes
        let keys = try handshake.createResponse(
            ephemeral: privateKey(vector.bytes("responderEphemeralPrivate")),
            presharedKey: presharedKey, localIndex: index, into: &bytes)
        cookie.addMACs(to: &bytes, now: Instant(nanoseconds: 1))
        return keys
    }

    private func open(
        _ response: [UInt8], _ handshake: borrowing InitiatorHandshake, _ identity: StaticIdentity,
        _ presharedKey: borrowing PresharedKey
    ) throws(HandshakeError) -> SessionKeys {
        // Bytes have no padding.
        try handshake.consumeResponse(
            unsafe response.span.bytes, identity: identity, presharedKey: presharedKey)
    }
}
