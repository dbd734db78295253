import CLinux

/// The offloads that the kernel may leave to the reader of a TUN (TUN_F_*).
package struct TunOffloads: OptionSet, Sendable {
    package let rawValue: UInt32

    package init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// Transport checksums. The other offloads need it.
    package static let checksum = TunOffloads(rawValue: UInt32(TUN_F_CSUM))
    /// TCP super-packets over IPv4 and IPv6, up to 64 KiB.
    package static let segments = TunOffloads(rawValue: UInt32(TUN_F_TSO4 | TUN_F_TSO6))
    /// UDP super-packets over IPv4 and IPv6, from Linux 6.2.
    package static let datagrams = TunOffloads(
        rawValue: UInt32(clinux_TUN_F_USO4 | clinux_TUN_F_USO6))
    /// All offloads.
    package static let all: TunOffloads = [.checksum, .segments, .datagrams]
}
