/// The position of the transport header of an IPv6 packet, after its extension headers (RFC 8200,
/// section 4).
package struct IPv6Transport: Equatable, Sendable {
    /// The protocol after the last extension header.
    package let protocolNumber: IPProtocol
    /// The offset of the transport header from the start of the packet in bytes.
    package let offset: Int
    /// Whether the packet is a fragment other than the first. `offset` then points to data, not to a
    /// header.
    package let isLaterFragment: Bool

    /// Walks the extension headers of the IPv6 packet of `length` bytes, at least 40, at `offset`. `next`
    /// is the next header of its fixed header. Nil if the extension headers exceed the packet.
    package init?(_ bytes: RawSpan, at offset: Int, next: IPProtocol, length: Int) {
        var next = next
        var at = IPHeader.length6
        while let kind = Kind(next) {
            guard at + 8 <= length else { return nil }
            let size: Int
            switch kind {
            case .options: size = 8 + 8 * Int(bytes.byte(at: offset + at + 1))
            case .authentication: size = 8 + 4 * Int(bytes.byte(at: offset + at + 1))
            case .fragment:
                size = 8
                let fragment = bytes.loadBigEndian(at: offset + at + 2, as: UInt16.self)
                if fragment & 0xFFF8 != 0 {
                    protocolNumber = IPProtocol(rawValue: bytes.byte(at: offset + at))
                    self.offset = at + size
                    isLaterFragment = true
                    return
                }
            }
            next = IPProtocol(rawValue: bytes.byte(at: offset + at))
            at += size
        }
        guard at <= length else { return nil }
        protocolNumber = next
        self.offset = at
        isLaterFragment = false
    }

    /// Whether `number` is an extension header that `init` can skip.
    package static func isExtensionHeader(_ number: IPProtocol) -> Bool {
        Kind(number) != nil
    }

    /// How an extension header encodes its length.
    private enum Kind {
        case options, authentication, fragment

        init?(_ number: IPProtocol) {
            switch number.rawValue {
            // Hop-by-hop, routing, destination options, mobility, HIP, Shim6.
            case 0, 43, 60, 135, 139, 140: self = .options
            case 44: self = .fragment
            case 51: self = .authentication
            default: return nil
            }
        }
    }
}
