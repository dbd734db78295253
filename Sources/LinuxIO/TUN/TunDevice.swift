import CLinux
import Glibc

/// A TUN interface: what belongs to the whole device. Packets pass through its queues.
///
/// The interface exists as long as a descriptor of it is open, here or in a queue.
package struct TunDevice: ~Copyable, Sendable {
    /// What the device is able to do, agreed with the kernel when it was opened.
    package struct Capabilities: Equatable, Sendable {
        /// Whether each packet is preceded by a `virtio_net_hdr` of 10 bytes.
        package var hasVirtioNetHeader: Bool
        /// Whether more than one queue can be attached.
        package var isMultiQueue: Bool
        /// What the kernel may leave to us when we read.
        package var offloads: TunOffloads
    }

    /// A descriptor of the device, in error (`EpollEvents.isBroken`) when it has been deleted. The
    /// kernel tells that only to those who wait for packets (`.readable`).
    package let descriptor: FileDescriptor
    /// What the device is able to do.
    package let capabilities: Capabilities

    /// Makes an interface, or takes one that was made beforehand (`ip tuntap add`) and that nobody
    /// has open. Fails if another daemon has it, or if the name belongs to another kind of link.
    ///
    /// - Parameter offloads: what to ask for. An old kernel grants less; see `capabilities`.
    package static func create(_ name: InterfaceName, offloads: TunOffloads = .all)
        throws(TunDeviceError) -> TunDevice
    {
        let fd = try openCloneDevice()
        do throws(TunDeviceError) {
            // Exclusive: without it a second daemon would attach to a multi-queue device in silence
            // and take half of its packets.
            try attach(fd, name, flags | IFF_TUN_EXCL)
        } catch {
            guard error == .nameInUse(name) else { throw error }
            let isMultiQueue = try attachExisting(fd, name)
            return try finish(
                fd, capabilities: (virtio: true, multiQueue: isMultiQueue), offloads: offloads)
        }
        return try finish(fd, capabilities: (virtio: true, multiQueue: true), offloads: offloads)
    }

    /// Takes over a TUN that somebody else opened (WG_TUN_FD), with or without virtio header and
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
                // A queue is attached by name: elsewhere that would make a second device, here.
                multiQueue: flags & IFF_MULTI_QUEUE != 0 && isHere
            ), offloads: offloads)
    }

    /// Whether the interface is in the present network namespace, as far as the kernel tells.
    package func isHere() throws(SystemError) -> Bool {
        try Self.isHere(descriptor)
    }

    private static func isHere(_ fd: borrowing FileDescriptor) throws(SystemError) -> Bool {
        guard let namespace = try? networkNamespace(of: fd) else { return false }
        return try FileIdentity(namespace) == FileIdentity(try NetworkNamespace.current())
    }

    /// Whether packets are preceded by four bytes that we do not read. Of a device in another
    /// namespace that is not known.
    private static func hasPacketInformation(_ name: String) throws(SystemError) -> Bool {
        guard let name = InterfaceName(name) else { return false }
        return try RouteSocket().kind(of: name).hasPacketInformation
    }

    private init(descriptor: consuming FileDescriptor, capabilities: Capabilities) {
        self.descriptor = descriptor
        self.capabilities = capabilities
    }

    /// Opens a queue. The first shares the device's own descriptor; the others are attached anew, and
    /// the kernel spreads inner flows over them.
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
        return try SystemCall.open("TUNGETDEVNETNS") { clinux_tun_get_namespace(raw) }
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

    private static var flags: Int32 { IFF_TUN | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE }

    private static func openCloneDevice() throws(TunDeviceError) -> FileDescriptor {
        do throws(SystemError) {
            return try SystemCall.open("open") {
                unsafe clinux_open("/dev/net/tun", O_RDWR | O_NONBLOCK)
            }
        } catch {
            switch error.code {
            case ENOENT, ENODEV, ENXIO: throw .noDriver
            case EACCES, EPERM: throw .notPermitted
            default: throw .system(error)
            }
        }
    }

    private static func attach(
        _ fd: borrowing FileDescriptor, _ name: InterfaceName, _ flags: Int32
    ) throws(TunDeviceError) {
        let raw = fd.rawValue
        do throws(SystemError) {
            try SystemCall.call("TUNSETIFF") {
                unsafe clinux_tun_set_interface(raw, name.rawValue, flags)
            }
        } catch {
            switch error.code {
            // EINVAL: a link of another kind, or a TUN that was made with other flags.
            case EBUSY, EEXIST: throw .nameInUse(name)
            case EINVAL: throw .nameTaken(name)
            case EPERM, EACCES: throw .notPermitted
            default: throw .system(error)
            }
        }
    }

    /// Attaches to a device that exists and that nobody has open. Returns whether it can have several
    /// queues.
    private static func attachExisting(_ fd: borrowing FileDescriptor, _ name: InterfaceName)
        throws(TunDeviceError) -> Bool
    {
        let kind = try system { () throws(SystemError) in try RouteSocket().kind(of: name) }
        guard kind.name == "tun", !kind.isTap else { throw .nameTaken(name) }
        // A device with one queue refuses a second user by itself.
        guard kind.isPersistent, !kind.isMultiQueue || kind.queues == 0 else {
            throw .nameInUse(name)
        }
        try attach(fd, name, kind.isMultiQueue ? flags : flags & ~IFF_MULTI_QUEUE)
        // Two daemons at the same time: both step back.
        let now = try system { () throws(SystemError) in try RouteSocket().kind(of: name) }
        guard !kind.isMultiQueue || now.queues == 1 else { throw .nameInUse(name) }
        return kind.isMultiQueue
    }

    private static func finish(
        _ fd: consuming FileDescriptor, capabilities: (virtio: Bool, multiQueue: Bool),
        offloads: TunOffloads
    ) throws(TunDeviceError) -> TunDevice {
        var granted: TunOffloads = []
        if capabilities.virtio {
            let raw = fd.rawValue
            _ = try system { () throws(SystemError) in
                try SystemCall.call("TUNSETVNETHDRSZ") { clinux_tun_set_header_size(raw, 10) }
            }
            granted = agree(on: offloads, fd)
        }
        return TunDevice(
            descriptor: fd,
            capabilities: Capabilities(
                hasVirtioNetHeader: capabilities.virtio, isMultiQueue: capabilities.multiQueue,
                offloads: granted))
    }

    /// Runs `body`; its errors need no other explanation.
    private static func system<Result: ~Copyable>(
        _ body: () throws(SystemError) -> Result
    ) throws(TunDeviceError) -> Result {
        do throws(SystemError) {
            return try body()
        } catch {
            throw .system(error)
        }
    }

    /// Asks for everything, then for what older kernels know, then for nothing; a kernel that does
    /// not even take that leaves the device as it was made, which is without.
    private static func agree(
        on offloads: TunOffloads, _ fd: borrowing FileDescriptor
    ) -> TunOffloads {
        let raw = fd.rawValue
        for attempt in [offloads, offloads.subtracting(.datagrams), []] {
            let result = try? SystemCall.call("TUNSETOFFLOAD") {
                clinux_tun_set_offload(raw, attempt.rawValue)
            }
            if result != nil { return attempt }
        }
        return []
    }
}

extension SystemCall {
    /// TUNGETIFF: the interface's name and IFF_* flags.
    static func tunGetInterface(_ fd: borrowing FileDescriptor) throws(SystemError)
        -> (name: String, flags: Int32)
    {
        let raw = fd.rawValue
        var name = [CChar](repeating: 0, count: Int(IFNAMSIZ))
        var flags: Int32 = 0
        try call("TUNGETIFF") { unsafe clinux_tun_get_interface(raw, &name, &flags) }
        let bytes = name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        return (String(decoding: bytes, as: UTF8.self), flags)
    }
}
