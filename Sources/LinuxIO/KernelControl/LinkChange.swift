import CLinux
import Glibc

/// A change of link settings, performed in the network namespace of the calling thread.
enum LinkChange: Sendable {
    /// See `KernelControl.quietLink`.
    case quiet
    /// See `KernelControl.limitSuperpackets`.
    case limitSuperpackets

    /// Performs the change. Returns an error for each setting that did not change.
    func perform(on name: InterfaceName) -> [SystemError] {
        switch self {
        case .quiet: Self.quiet(name)
        case .limitSuperpackets: Self.limitSuperpackets(name)
        }
    }

    private static func quiet(_ name: InterfaceName) -> [SystemError] {
        var errors: [SystemError] = []
        do throws(SystemError) {
            let routes = try RouteSocket()
            let index = try routes.link(named: name).index
            do throws(SystemError) {
                try routes.disableAddressGeneration(index)
            } catch { errors.append(error) }
            do throws(SystemError) {
                try routes.disableRedirects(index)
            } catch { errors.append(error) }
        } catch { errors.append(error) }
        do throws(SystemError) {
            // /proc/sys/net is that of the calling thread's namespace.
            let path = "/proc/sys/net/ipv4/conf/all/send_redirects"
            let setting = try SystemCall.descriptor("open") { unsafe clinux_open(path, O_WRONLY) }
            try SystemCall.write(setting, [UInt8(ascii: "0"), UInt8(ascii: "\n")])
        } catch { errors.append(error) }
        return errors
    }

    private static func limitSuperpackets(_ name: InterfaceName) -> [SystemError] {
        do throws(SystemError) {
            let routes = try RouteSocket()
            let link = try routes.link(named: name)
            let limit =
                Forwarding.isEnabled ? SuperpacketLimit.unlimited : SuperpacketLimit(mtu: link.mtu)
            guard limit.byteCount != link.maximumSuperpacket else { return [] }
            try routes.set(
                maximumSuperpacket: limit.byteCount, segments: limit.segments, of: link.index)
            return []
        } catch {
            return [error]
        }
    }
}
