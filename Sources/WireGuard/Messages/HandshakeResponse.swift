/// The second message (§5.4.3): where its fields lie, in bytes from its start.
///
///     type 4 | sender 4 | receiver 4 | ephemeral 32 | nothing 0+16 | mac1 16 | mac2 16
package enum HandshakeResponse {
    package static let sender = 4
    package static let receiver = sender + 4
    package static let ephemeral = receiver + 4
    package static let encryptedNothing = ephemeral + 32
    package static let mac1 = encryptedNothing + 16
    package static let mac2 = mac1 + 16
    package static let byteCount = mac2 + 16
}
