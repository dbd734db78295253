/// The first message (§5.4.2): where its fields lie, in bytes from its start.
///
///     type 4 | sender 4 | ephemeral 32 | static 32+16 | timestamp 12+16 | mac1 16 | mac2 16
package enum HandshakeInitiation {
    package static let sender = 4
    package static let ephemeral = sender + 4
    package static let encryptedStatic = ephemeral + 32
    package static let encryptedTimestamp = encryptedStatic + 32 + 16
    package static let mac1 = encryptedTimestamp + 12 + 16
    package static let mac2 = mac1 + 16
    package static let byteCount = mac2 + 16
}
