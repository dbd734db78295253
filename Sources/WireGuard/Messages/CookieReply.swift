/// The answer of a responder under load (§5.4.7): where its fields lie, in bytes from its start.
///
///     type 4 | receiver 4 | nonce 24 | cookie 16+16
package enum CookieReply {
    package static let receiver = 4
    package static let nonce = receiver + 4..<receiver + 4 + 24
    package static let encryptedCookie = nonce.upperBound..<nonce.upperBound + 16 + 16
    package static let byteCount = encryptedCookie.upperBound
}
