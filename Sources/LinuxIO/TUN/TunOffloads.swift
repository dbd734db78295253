import CLinux

/// What the kernel may hand over unfinished when a TUN is read (TUN_F_*).
package struct TunOffloads: OptionSet, Sendable {
    package let rawValue: UInt32

    package init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// Transport checksums left to us; the others need it.
    package static let checksum = TunOffloads(rawValue: UInt32(TUN_F_CSUM))
    /// TCP superpackets of both families, up to 64 KiB.
    package static let segments = TunOffloads(rawValue: UInt32(TUN_F_TSO4 | TUN_F_TSO6))
    /// UDP superpackets of both families, from Linux 6.2.
    package static let datagrams = TunOffloads(
        rawValue: UInt32(clinux_TUN_F_USO4 | clinux_TUN_F_USO6))
    /// All of these.
    package static let all: TunOffloads = [.checksum, .segments, .datagrams]
}
