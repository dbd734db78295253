/// The name of a network interface that Linux would accept.
package struct InterfaceName: Hashable, Sendable, CustomStringConvertible {
    /// The name, 1 to 15 bytes.
    package let rawValue: String

    /// Parses a name; nil for one that the kernel refuses, and for one that it would take for a
    /// pattern (`wg%d`).
    package init?(_ text: String) {
        let bytes = text.utf8
        guard (1...15).contains(bytes.count), !Self.reserved.contains(text) else { return nil }
        guard !bytes.contains(where: Self.isForbidden) else { return nil }
        rawValue = text
    }

    package var description: String {
        rawValue
    }

    /// `all` and `default` are directories of their own under /proc/sys/net/ipv4/conf.
    private static let reserved: Set<String> = [".", "..", "all", "default"]

    // The kernel's isspace(): Latin-1, so a no-break space counts, even inside a UTF-8 sequence.
    private static func isForbidden(_ byte: UInt8) -> Bool {
        switch byte {
        case 0, UInt8(ascii: "/"), UInt8(ascii: ":"), UInt8(ascii: "%"): true
        case 0x09...0x0D, 0x20, 0xA0: true
        default: false
        }
    }
}
