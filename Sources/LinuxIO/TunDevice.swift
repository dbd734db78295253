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

    /// A descriptor of the device, in error (`EpollEvents.isBroken`) when it has been deleted.
    package let descriptor: FileDescriptor
    /// What the device is able to do.
    package let capabilities: Capabilities

    /// Makes an interface. Fails if one of that name exists: another daemon, or another kind.
    ///
    /// - Parameter offloads: what to ask for. An old kernel grants less; see `capabilities`.
    package static func create(_ name: InterfaceName, offloads: TunOffloads = .all)
        throws(TunDeviceError) -> TunDevice
    {
        let fd = try openCloneDevice()
        // Exclusive: without it a second daemon would attach to a multi-queue device in silence and
        // take half of its packets.
        try attach(fd, name, flags | IFF_TUN_EXCL)
        return try finish(fd, capabilities: (virtio: true, multiQueue: true), offloads: offloads)
    }

    /// Takes over a TUN that somebody else opened (WG_TUN_FD), with or without virtio header and
    /// several queues.
    package static func adopt(_ fd: consuming FileDescriptor, offloads: TunOffloads = .all)
        throws(TunDeviceError) -> TunDevice
    {
        let flags: Int32
        do throws(SystemError) {
            flags = try SystemCall.tunGetInterface(fd).flags
        } catch {
            throw .notATun
        }
        guard flags & IFF_TUN != 0, flags & IFF_NO_PI != 0 else { throw .notATun }
        do throws(SystemError) {
            try fd.setNonBlocking()
        } catch {
            throw .system(error)
        }
        return try finish(
            fd,
            capabilities: (
                virtio: flags & IFF_VNET_HDR != 0, multiQueue: flags & IFF_MULTI_QUEUE != 0
            ), offloads: offloads)
    }

    private init(descriptor: consuming FileDescriptor, capabilities: Capabilities) {
        self.descriptor = descriptor
        self.capabilities = capabilities
    }

    /// Opens a queue. The first shares the device's own descriptor; the others are attached anew, and
    /// the kernel spreads inner flows over them.
    package func openQueue(_ index: Int) throws(TunDeviceError) -> TunQueue {
        if index == 0 {
            do throws(SystemError) {
                return TunQueue(descriptor: try descriptor.duplicate(), capabilities: capabilities)
            } catch {
                throw .system(error)
            }
        }
        guard capabilities.isMultiQueue else { throw .singleQueue }
        let fd = try Self.openCloneDevice()
        let name: InterfaceName
        do throws(SystemError) {
            name = try self.name()
        } catch {
            throw .system(error)
        }
        try Self.attach(
            fd, name, Self.flags & ~(capabilities.hasVirtioNetHeader ? 0 : IFF_VNET_HDR))
        return TunQueue(descriptor: fd, capabilities: capabilities)
    }

    /// Its name at present; an interface can be renamed. EBADFD when it has been deleted.
    package func name() throws(SystemError) -> InterfaceName {
        let text = try SystemCall.tunGetInterface(descriptor).name
        guard let name = InterfaceName(text) else {
            throw SystemError(call: "TUNGETIFF", code: EINVAL)
        }
        return name
    }

    /// The network namespace where the interface is now. From Linux 5.7; needs CAP_NET_ADMIN there.
    package func networkNamespace() throws(SystemError) -> FileDescriptor {
        let raw = descriptor.rawValue
        return try SystemCall.open("TUNGETDEVNETNS") { clinux_tun_get_namespace(raw) }
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
            // EINVAL: the name belongs to a link of another kind, or to a TUN made otherwise.
            case EBUSY, EEXIST: throw .nameInUse(name)
            case EINVAL: throw .nameTaken(name)
            case EPERM, EACCES: throw .notPermitted
            default: throw .system(error)
            }
        }
    }

    private static func finish(
        _ fd: consuming FileDescriptor, capabilities: (virtio: Bool, multiQueue: Bool),
        offloads: TunOffloads
    ) throws(TunDeviceError) -> TunDevice {
        var granted: TunOffloads = []
        if capabilities.virtio {
            let raw = fd.rawValue
            do throws(SystemError) {
                try SystemCall.call("TUNSETVNETHDRSZ") { clinux_tun_set_header_size(raw, 10) }
            } catch {
                throw .system(error)
            }
            granted = try agree(on: offloads, fd)
        }
        return TunDevice(
            descriptor: fd,
            capabilities: Capabilities(
                hasVirtioNetHeader: capabilities.virtio, isMultiQueue: capabilities.multiQueue,
                offloads: granted))
    }

    /// Asks for everything, then for what older kernels know, then for nothing.
    private static func agree(on offloads: TunOffloads, _ fd: borrowing FileDescriptor)
        throws(TunDeviceError) -> TunOffloads
    {
        let raw = fd.rawValue
        var last = SystemError(call: "TUNSETOFFLOAD", code: EINVAL)
        for attempt in [offloads, offloads.subtracting(.datagrams), []] {
            do throws(SystemError) {
                try SystemCall.call("TUNSETOFFLOAD") {
                    clinux_tun_set_offload(raw, attempt.rawValue)
                }
                return attempt
            } catch {
                last = error
            }
        }
        throw .system(last)
    }
}

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

/// Why a TUN could not be had.
package enum TunDeviceError: Error, Equatable, Sendable, CustomStringConvertible {
    /// There is no /dev/net/tun.
    case noDriver
    /// Neither root nor CAP_NET_ADMIN.
    case notPermitted
    /// Another daemon holds a TUN of that name.
    case nameInUse(InterfaceName)
    /// A link of another kind has that name.
    case nameTaken(InterfaceName)
    /// The descriptor is no TUN without packet information (IFF_TUN | IFF_NO_PI).
    case notATun
    /// The device was made without IFF_MULTI_QUEUE: it has one queue only.
    case singleQueue
    /// Anything else.
    case system(SystemError)

    /// One line that says what is wrong and how to mend it.
    package var description: String {
        switch self {
        case .noDriver:
            "there is no /dev/net/tun: load the tun module (modprobe tun), or pass the device to the container"
        case .notPermitted:
            "no permission to make a TUN interface: run as root or with CAP_NET_ADMIN"
        case .nameInUse(let name):
            "the interface \(name) is in use by another process: choose another name or end that one"
        case .nameTaken(let name):
            "there is another interface named \(name): delete it (ip link delete \(name)) or choose another name"
        case .notATun: "the descriptor given is no TUN made with IFF_TUN and IFF_NO_PI"
        case .singleQueue: "the TUN was made without IFF_MULTI_QUEUE"
        case .system(let error): "cannot set up the TUN interface: \(error)"
        }
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
