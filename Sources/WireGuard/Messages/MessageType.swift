/// The message types (§5.4).
///
/// The type byte and the three reserved bytes after it are one little-endian word, so a message with
/// a nonzero reserved byte has an unknown type.
enum MessageType: UInt32 {
    case handshakeInitiation = 1
    case handshakeResponse = 2
    case cookieReply = 3
    case transportData = 4
}
