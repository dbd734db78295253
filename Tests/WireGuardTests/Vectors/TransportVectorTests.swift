import Packets
import Testing
import WireGuardCrypto

@testable import WireGuard

@Suite("Transport data matches the vectors")
struct TransportVectorTests {
    static let cases = VectorFile("transport.json").cases

    @Test(
        "sealed: padding, header, nonce and tag", arguments: cases, AEADImplementation.available)
    func seal(_ vector: VectorFile.Case, by implementation: AEADImplementation) {
        let packet = vector.bytes("packet")
        let padded = TransportData.paddedLength(packet.count, mtu: Int(vector.number("mtu")))
        #expect(padded == vector.bytes("plaintext").count)
        var message = [UInt8](repeating: 0, count: TransportData.packet) + packet
        message += repeatElement(0, count: TransportData.overhead + padded - message.count)
        message.edit { bytes in
            let counter = vector.number("counter")
            TransportData.storeHeader(
                receiver: ReceiverIndex(rawValue: UInt32(vector.number("receiverIndex"))),
                counter: counter, at: 0, into: &bytes)
            let batch = FixedArray(
                repeating: AEADPacket(
                    offset: TransportData.packet, length: padded, counter: counter), count: 1)
            ChaCha20Poly1305.seal(
                batch.prefix(1), in: &bytes, key: SymmetricKey(secret(vector.bytes("key"))),
                using: implementation)
        }
        #expect(message == vector.bytes("message"))
    }

    @Test(
        "opened: type, counter and packet", arguments: cases,
        AEADImplementation.available)
    func open(_ vector: VectorFile.Case, by implementation: AEADImplementation) {
        var message = vector.bytes("message")
        let counter = withBytes(message) { TransportData($0)?.counter }
        #expect(counter == vector.number("counter"))
        let length = message.count - TransportData.packet
        var isAuthentic = false
        message.edit { bytes in
            var batch = FixedArray(
                repeating: AEADPacket(
                    offset: TransportData.packet, length: length, counter: vector.number("counter")),
                count: 1)
            var span = batch.mutablePrefix(1)
            ChaCha20Poly1305.open(
                &span, in: &bytes, key: SymmetricKey(secret(vector.bytes("key"))),
                using: implementation)
            isAuthentic = batch[0].isAuthentic
        }
        #expect(isAuthentic)
        let plaintext = message.dropFirst(TransportData.packet).dropLast(16)
        #expect(Array(plaintext) == vector.bytes("plaintext"))
    }

    @Test(
        "padding extends to a multiple of 16, never past the MTU, and never shortens",
        arguments: [
            (0, 1420, 0), (1, 1420, 16), (16, 1420, 16), (17, 1420, 32), (1408, 1420, 1408),
            (1409, 1420, 1420), (1420, 1420, 1420), (1421, 1420, 1421), (9000, 1420, 9000),
            (20, 0, 20), (65_535, 65_535, 65_535), (65_521, 65_535, 65_535), (68, 68, 68),
            (65, 68, 68),
        ])
    func padding(length: Int, mtu: Int, padded: Int) {
        #expect(TransportData.paddedLength(length, mtu: mtu) == padded)
    }
}
