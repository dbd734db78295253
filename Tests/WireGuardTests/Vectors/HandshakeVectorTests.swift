import Testing
import WireGuardCrypto

@testable import WireGuard

@Suite("The handshake matches the vectors")
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

        // Initiation.
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

        // Response.
        let checker = CookieChecker(publicKey: responder.publicKey)
        #expect(withMACs(initiation) { checker.hasValidMAC1($0) })
        let verified = try verify(
            initiation, responder, from: initiator.publicKey,
            try StaticStatic(responder, initiator.publicKey))
        expect(verified.timestamp, is: stamp)
        var response = [UInt8](repeating: 0, count: HandshakeResponse.byteCount)
        var answerCookie = LatestCookie(publicKey: initiator.publicKey)
        let responderKeys = try respond(
            verified, vector, preshared, responderIndex, into: &response, &answerCookie)
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

    @Test("the intermediate hashes and chaining keys match the vectors", arguments: cases)
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

    @Test("a flipped bit anywhere in an initiation is detected")
    func flippedInitiation() throws {
        let vector = Self.cases[0]
        let responder = StaticIdentity(privateKey(vector.bytes("responderStaticPrivate")))
        let checker = CookieChecker(publicKey: responder.publicKey)
        let initiation = vector.bytes("initiation")
        for index in 0..<HandshakeInitiation.Offset.mac2 {
            var changed = initiation
            changed[index] ^= 1
            #expect(!withMACs(changed) { checker.hasValidMAC1($0) }, "byte \(index)")
        }
        let staticStatic = try StaticStatic(
            responder, publicKey(vector.bytes("initiatorStaticPublic")))
        // Noise covers everything except the MACs and the sender index.
        for index in HandshakeInitiation.Offset.ephemeral..<HandshakeInitiation.Offset.mac1 {
            var changed = initiation
            changed[index] ^= 0x80
            #expect(throws: HandshakeError.notAuthentic, "byte \(index)") {
                _ = try verify(changed, responder, from: nil, staticStatic)
            }
        }
    }

    @Test("an ephemeral or static key of low order is refused", arguments: [0, 1])
    func lowOrder(_ first: UInt8) {
        let vector = Self.cases[0]
        let responder = StaticIdentity(privateKey(vector.bytes("responderStaticPrivate")))
        var low = [UInt8](repeating: 0, count: 32)
        low[0] = first
        var initiation = vector.bytes("initiation")
        initiation.replaceSubrange(HandshakeInitiation.Offset.ephemeral..<40, with: low)
        #expect(throws: HandshakeError.zeroSharedSecret) {
            let staticStatic = try StaticStatic(
                responder, publicKey(vector.bytes("initiatorStaticPublic")))
            _ = try verify(initiation, responder, from: nil, staticStatic)
        }
        #expect(throws: HandshakeError.zeroSharedSecret) {
            _ = try StaticStatic(responder, publicKey(low))
        }
    }

    // MARK: Steps

    /// Opens an initiation and verifies its timestamp against no earlier one.
    private func verify(
        _ initiation: [UInt8], _ identity: StaticIdentity, from initiator: PublicKey?,
        _ staticStatic: StaticStatic
    ) throws(HandshakeError) -> ResponderHandshake.Verified {
        // Bytes have no padding.
        guard let message = HandshakeInitiation(unsafe initiation.span.bytes) else {
            throw .notAuthentic
        }
        let received = try ResponderHandshake.Received(message, identity: identity)
        if let initiator { expect(received.initiator, is: initiator) }
        return try received.openTimestamp(staticStatic: staticStatic).verifyTimestamp(after: nil)
    }

    private func respond(
        _ initiation: consuming ResponderHandshake.Verified, _ vector: VectorFile.Case,
        _ presharedKey: borrowing PresharedKey, _ index: ReceiverIndex,
        into response: inout [UInt8], _ cookie: inout LatestCookie
    ) throws(HandshakeError) -> SessionKeys {
        var span = response.mutableSpan
        // Bytes have no padding.
        var bytes = unsafe span.mutableBytes
        let keys = try initiation.createResponse(
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
        guard let message = HandshakeResponse(unsafe response.span.bytes) else {
            throw .notAuthentic
        }
        return try handshake.consumeResponse(
            message, identity: identity, presharedKey: presharedKey)
    }
}
