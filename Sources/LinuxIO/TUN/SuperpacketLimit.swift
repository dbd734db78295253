import CLinux
import Glibc

/// How large a superpacket the kernel may hand to a TUN (`gso_max_size`), so that what is cut from it
/// leaves in one segmented send.
///
/// The kernel's own limit, 64 KiB, makes 47 packets of an MTU of 1420; a send takes 45, so that every
/// read would be followed by two sends, the second of them nearly empty.
package struct SuperpacketLimit: Equatable, Sendable {
    /// The most bytes of a superpacket.
    package var byteCount: Int
    /// The most packets in one.
    package var segments: Int

    /// What a device has by itself.
    package static var kernels: SuperpacketLimit {
        SuperpacketLimit(byteCount: 65_536, segments: 65_535)
    }

    /// The limit for packets of an MTU: as many whole ones as a send takes after they were sealed.
    package init(mtu: Int) {
        let sealed = max(mtu, 0) + Self.overhead
        let count = min(SendBatch.maximumSegments, Self.bytesOfSend / sealed)
        guard count > 1 else {
            self = .kernels
            return
        }
        // The kernel takes 257 (IPv4) or 321 bytes (IPv6) off for headers before it divides by what a
        // segment carries. So it comes to `count` for TCP with time stamps over IPv4, and to no more
        // over IPv6, whose segments carry 20 bytes less.
        byteCount = count * (mtu - 52) + 321
        segments = SendBatch.maximumSegments
    }

    private init(byteCount: Int, segments: Int) {
        self.byteCount = byteCount
        self.segments = segments
    }

    /// Header and tag of transport data.
    private static let overhead = 32
    /// What one send takes over IPv6, which is less than over IPv4.
    private static let bytesOfSend = 65_487
}

extension TunDevice {
    /// Fits the superpackets that the device is given to its MTU, wherever it is now, unless its
    /// namespace forwards packets: the kernel joins what it forwards up to its own limit, and cuts
    /// whatever is larger than a device's limit into single packets, each a read of its own.
    ///
    /// - Returns: what did not work; the tunnel works without.
    package func fitSuperpackets() -> [SystemError] {
        inItsNamespace(Self.fit)
    }

    private static func fit(_ name: InterfaceName) -> [SystemError] {
        do throws(SystemError) {
            let routes = try RouteSocket()
            let link = try routes.link(named: name)
            let limit = forwards ? SuperpacketLimit.kernels : SuperpacketLimit(mtu: link.mtu)
            guard limit.byteCount != link.maximumSuperpacket else { return [] }
            try routes.set(
                maximumSuperpacket: limit.byteCount, segments: limit.segments, of: link.index)
            return []
        } catch {
            return [error]
        }
    }

    /// Whether the present namespace forwards packets between its links.
    private static var forwards: Bool {
        ["ipv4/ip_forward", "ipv6/conf/all/forwarding"].contains { setting in
            let path = "/proc/sys/net/\(setting)"
            guard let file = try? SystemCall.open("open", { unsafe clinux_open(path, O_RDONLY) }),
                let text = try? SystemCall.read(file, count: 8)
            else { return false }
            return text.first != UInt8(ascii: "0")
        }
    }
}
