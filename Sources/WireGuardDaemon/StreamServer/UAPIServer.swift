import LinuxIO
import WireGuard

/// The server of the configuration socket.
typealias UAPIServer = StreamServer<UAPIParser, UAPIRequest, UAPIWriter>

extension UAPIWriter: StreamAnswer {}

extension StreamProtocol where Parser == UAPIParser, Request == UAPIRequest {
    /// The text protocol of `wg`.
    static var uapi: StreamProtocol {
        StreamProtocol(
            makeParser: { UAPIParser() },
            parse: { parser, bytes, offset in
                parser.read(bytes, from: &offset, resolveScope: scope)
            }, isBetweenRequests: { $0.isBetweenRequests })
    }
}

/// The index of the interface that an endpoint names as its scope; nil if there is none.
@Sendable private func scope(_ name: String) -> UInt32? {
    guard let index = InterfaceName(name)?.index, index != 0 else { return nil }
    return index
}
