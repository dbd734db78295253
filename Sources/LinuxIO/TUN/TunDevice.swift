import CLinux
import Glibc

/// A TUN interface. Packets are read and written through its queues (`TunQueue`).
///
/// Unless it is persistent, the kernel deletes the interface when its last descriptor is closed, here or
/// in a queue.
package struct TunDevice: ~Copyable, Sendable {
    /// The features of the device, as negotiated with the kernel.
    package struct Capabilities: Equatable, Sendable {
        /// Whether a `virtio_net_hdr` of 10 bytes precedes each packet.
        package var hasVirtioNetHeader: Bool
        /// Whether several queues can be attached.
        package var isMultiQueue: Bool
        /// The offloads that the kernel may leave to the reader.
        package var offloads: TunOffloads
    }

    /// A descriptor of the device. After the device was deleted it reports an error
    /// (`EpollEvents.isBroken`), but only to a wait for `.readable`.
    package let descriptor: FileDescriptor
    /// The features of the device.
    package let capabilities: Capabilities

    /// Creates an interface, or attaches to a persistent one (`ip tuntap add`) that no process has open.
    ///
    /// - Parameter offloads: the offloads to request. An old kernel grants fewer; see `capabilities`.
    package static func create(_ name: InterfaceName, offloads: TunOffloads = .all)
        throws(TunDeviceError) -> TunDevice
    {
        let fd = try openCloneDevice()
        do throws(TunDeviceError) {
            // Without IFF_TUN_EXCL, a second daemon would attach to a multi-queue device and receive
            // half of its packets.
            try attach(fd, name, flags | IFF_TUN_EXCL)
        } catch {
            guard error == .nameInUse(name) else { throw error }
            let isMultiQueue = try attachExisting(fd, name)
            return try finish(
                fd, capabilities: (virtio: true, multiQueue: isMultiQueue), offloads: offloads)
        }
        return try finish(fd, capabilities: (virtio: true, multiQueue: true), offloads: offloads)
    }

    /// Adopts a TUN that another process opened (WG_TUN_FD), with or without a virtio header and
    /// several queues.
    package static func adopt(_ fd: consuming FileDescriptor, offloads: TunOffloads = .all)
        throws(TunDeviceError) -> TunDevice
    {
        let flags: Int32
        let isHere: Bool
        do throws(SystemError) {
            let interface = try SystemCall.tunGetInterface(fd)
            flags = interface.flags
            isHere = try Self.isHere(fd)
            try fd.setNonBlocking()
            if isHere, try hasPacketInformation(interface.name) {
                throw SystemError(call: "TUNGETIFF", code: EINVAL)
            }
        } catch {
            throw .notATun
        }
        guard flags & IFF_TUN != 0 else { throw .notATun }
        return try finish(
            fd,
            capabilities: (
                virtio: flags & IFF_VNET_HDR != 0,
                // Queues are attached by name: for a device in another namespace, that would create a second
                // device in this one.
                multiQueue: flags & IFF_MULTI_QUEUE != 0 && isHere
            ), offloads: offloads)
    }

    /// Whether the interface is in the network namespace of the calling thread. False if the kernel cannot
    /// tell (before Linux 5.7).
    package func isHere() throws(SystemError) -> Bool {
        try Self.isHere(descriptor)
    }

    private static func isHere(_ fd: borrowing FileDescriptor) throws(SystemError) -> Bool {
        guard let namespace = try? networkNamespace(of: fd) else { return false }
        return try FileIdentity(namespace) == FileIdentity(try NetworkNamespace.current())
    }

    /// Whether four bytes of packet information precede each packet. Unknown for a device in another
    /// namespace.
    private static func hasPacketInformation(_ name: String) throws(SystemError) -> Bool {
        guard let name = InterfaceName(name) else { return false }
        return try RouteSocket().kind(of: name).hasPacketInformation
    }

    init(descriptor: consuming FileDescriptor, capabilities: Capabilities) {
        self.descriptor = descriptor
        self.capabilities = capabilities
    }

    /// Opens a queue. Queue 0 duplicates the descriptor of the device, others are attached. The kernel
    /// distributes flows over the queues.
    package func openQueue(_ index: Int) throws(TunDeviceError) -> TunQueue {
        if index == 0 {
            let copy = try Self.system { () throws(SystemError) in try descriptor.duplicate() }
            return TunQueue(descriptor: copy, capabilities: capabilities)
        }
        guard capabilities.isMultiQueue else { throw .singleQueue }
        let fd = try Self.openCloneDevice()
        let name = try Self.system { () throws(SystemError) in try self.name() }
        try Self.attach(
            fd, name, Self.flags & ~(capabilities.hasVirtioNetHeader ? 0 : IFF_VNET_HDR))
        return TunQueue(descriptor: fd, capabilities: capabilities)
    }

    /// The current name; an interface can be renamed. EBADFD after it was deleted.
    package func name() throws(SystemError) -> InterfaceName {
        try Self.name(of: descriptor)
    }

    /// Opens the network namespace in which the interface is (from Linux 5.7). Needs CAP_NET_ADMIN there.
    package func networkNamespace() throws(SystemError) -> FileDescriptor {
        try Self.networkNamespace(of: descriptor)
    }

    static func name(of fd: borrowing FileDescriptor) throws(SystemError) -> InterfaceName {
        let text = try SystemCall.tunGetInterface(fd).name
        guard let name = InterfaceName(text) else {
            throw SystemError(call: "TUNGETIFF", code: EINVAL)
        }
        return name
    }

    static func networkNamespace(of fd: borrowing FileDescriptor) throws(SystemError)
        -> FileDescriptor
    {
        let raw = fd.rawValue
        return try SystemCall.descriptor("TUNGETDEVNETNS") { clinux_tun_get_namespace(raw) }
    }

    /// Sets the MTU in bytes, if the interface is in the network namespace of the calling thread.
    package func setMTU(_ mtu: Int) throws(TunDeviceError) {
        do throws(SystemError) {
            let routes = try RouteSocket()
            try routes.set(mtu: mtu, of: try routes.link(named: try name()).index)
        } catch {
            throw .system(error)
        }
    }
}
