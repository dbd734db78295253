import CLinux
import Glibc
import Synchronization

extension TunDevice {
    /// Stops what the kernel would send by itself over the interface, wherever it is now: ICMP
    /// redirects (a hub would send them for every forwarded flow), and the router solicitations of an
    /// IPv6 link-local address. As the kernel's WireGuard, this includes `send_redirects` of `all`.
    ///
    /// To be repeated after a move to another namespace, which resets both.
    ///
    /// - Returns: what did not work; the tunnel works without. EAFNOSUPPORT means no IPv6, EROFS a
    ///   container with read-only settings, EPERM another namespace without CAP_SYS_ADMIN.
    package func quietKernel() -> [SystemError] {
        inItsNamespace(Self.quiet)
    }

    /// Does something to the interface where it is now.
    func inItsNamespace(_ body: @escaping @Sendable (InterfaceName) -> [SystemError])
        -> [SystemError]
    {
        do throws(SystemError) {
            let name = try self.name()
            guard let namespace = try? networkNamespace() else {
                // A kernel without TUNGETDEVNETNS: the present namespace is the best guess.
                return body(name)
            }
            let present = try NetworkNamespace.current()
            if try FileIdentity(namespace) == FileIdentity(present) { return body(name) }
            return Self.run(body, on: name, in: namespace)
        } catch {
            return [error]
        }
    }

    /// A thread of its own enters the namespace, so that nobody has to find the way back.
    private static func run(
        _ body: @escaping @Sendable (InterfaceName) -> [SystemError], on name: InterfaceName,
        in namespace: consuming FileDescriptor
    ) -> [SystemError] {
        let errors = Errors()
        do throws(SystemError) {
            let thread = try Thread.start("namespace", owning: namespace) { namespace in
                do throws(SystemError) {
                    try NetworkNamespace.enter(namespace)
                    errors.list.withLock { $0 = body(name) }
                } catch {
                    errors.list.withLock { $0 = [error] }
                }
            }
            thread.join()
        } catch {
            return [error]
        }
        return errors.list.withLock { $0 }
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
            // /proc/sys/net shows the namespace of the thread that looks.
            let path = "/proc/sys/net/ipv4/conf/all/send_redirects"
            let setting = try SystemCall.open("open") { unsafe clinux_open(path, O_WRONLY) }
            try SystemCall.write(setting, [UInt8(ascii: "0"), UInt8(ascii: "\n")])
        } catch { errors.append(error) }
        return errors
    }

    private final class Errors: Sendable {
        let list = Mutex<[SystemError]>([])
    }
}

extension TunDevice {
    /// Sets the MTU, in bytes, of a device in the present network namespace.
    package func setMTU(_ mtu: Int) throws(TunDeviceError) {
        do throws(SystemError) {
            let routes = try RouteSocket()
            try routes.set(mtu: mtu, of: try routes.link(named: try name()).index)
        } catch {
            throw .system(error)
        }
    }
}

extension TunDeviceError {
    /// The errno behind it, for whoever tells of it in other words.
    package var asSystemError: SystemError {
        if case .system(let error) = self { return error }
        return SystemError(call: "TUNSETIFF", code: EINVAL)
    }
}
