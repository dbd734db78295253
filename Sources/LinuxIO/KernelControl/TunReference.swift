import Glibc
import Synchronization

/// A descriptor of a TUN. It finds the link of the TUN by its current name, in its current network
/// namespace.
struct TunReference: ~Copyable {
    private let descriptor: FileDescriptor

    init(_ tun: borrowing TunDevice) throws(SystemError) {
        descriptor = try tun.descriptor.duplicate()
    }

    /// Changes the settings of the link in its network namespace. Returns the errors; the settings
    /// are independent of each other.
    func perform(_ change: LinkChange) -> [SystemError] {
        do throws(SystemError) {
            let name = try TunDevice.name(of: descriptor)
            guard let namespace = try? TunDevice.networkNamespace(of: descriptor) else {
                // Without TUNGETDEVNETNS (before Linux 5.7), assume the namespace of this thread.
                return change.perform(on: name)
            }
            let present = try NetworkNamespace.current()
            if try FileIdentity(namespace) == FileIdentity(present) {
                return change.perform(on: name)
            }
            return Self.perform(change, on: name, in: namespace)
        } catch {
            return [error]
        }
    }

    /// Performs a change on a short-lived thread, as a thread that enters a namespace may lack the
    /// permission to return.
    private static func perform(
        _ change: LinkChange, on name: InterfaceName, in namespace: consuming FileDescriptor
    ) -> [SystemError] {
        let errors = Errors()
        do throws(SystemError) {
            let thread = try Thread.start("namespace", owning: namespace) { namespace in
                do throws(SystemError) {
                    try NetworkNamespace.enter(namespace)
                    errors.list.withLock { $0 = change.perform(on: name) }
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

    private final class Errors: Sendable {
        let list = Mutex<[SystemError]>([])
    }
}
