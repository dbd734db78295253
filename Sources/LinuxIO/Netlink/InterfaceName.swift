import CLinux
import Glibc

/// The name of a network interface, valid on Linux.
package struct InterfaceName: Hashable, Sendable, CustomStringConvertible {
    /// The name, 1 to 15 bytes.
    package let rawValue: String

    /// Parses a name; nil if the kernel refuses it or expands it as a pattern (`wg%d`).
    package init?(_ text: String) {
        let bytes = text.utf8
        guard (1...15).contains(bytes.count), !Self.reserved.contains(text) else { return nil }
        guard !bytes.contains(where: Self.isForbidden) else { return nil }
        rawValue = text
    }

    package var description: String {
        rawValue
    }

    /// `all` and `default` are directories in /proc/sys/net/ipv4/conf.
    private static let reserved: Set<String> = [".", "..", "all", "default"]

    /// The kernel refuses `/`, `:` and isspace() of Latin-1, which includes the byte 0xA0 even within a
    /// UTF-8 sequence.
    private static func isForbidden(_ byte: UInt8) -> Bool {
        switch byte {
        case 0, UInt8(ascii: "/"), UInt8(ascii: ":"), UInt8(ascii: "%"): true
        case 0x09...0x0D, 0x20, 0xA0: true
        default: false
        }
    }
}

extension InterfaceName {
    /// The index of the interface in the network namespace of the calling thread, 0 if there is none.
    package var index: UInt32 {
        unsafe if_nametoindex(rawValue)
    }
}
