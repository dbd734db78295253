import CLinux
import Glibc

// Opening /dev/net/tun, attaching to an interface, and negotiating offloads.
extension TunDevice {
    static var flags: Int32 { IFF_TUN | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE }

    static func openCloneDevice() throws(TunDeviceError) -> FileDescriptor {
        do throws(SystemError) {
            return try SystemCall.descriptor("open") {
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

    static func attach(
        _ fd: borrowing FileDescriptor, _ name: InterfaceName, _ flags: Int32
    ) throws(TunDeviceError) {
        let raw = fd.rawValue
        do throws(SystemError) {
            try SystemCall.call("TUNSETIFF") {
                unsafe clinux_tun_set_interface(raw, name.rawValue, flags)
            }
        } catch {
            switch error.code {
            // EINVAL: a link of another kind, or a TUN that was created with other flags.
            case EBUSY, EEXIST: throw .nameInUse(name)
            case EINVAL: throw .nameTaken(name)
            case EPERM, EACCES: throw .notPermitted
            default: throw .system(error)
            }
        }
    }

    /// Attaches to a persistent device that no process has open. Returns whether several queues can be
    /// attached.
    static func attachExisting(_ fd: borrowing FileDescriptor, _ name: InterfaceName)
        throws(TunDeviceError) -> Bool
    {
        let kind = try system { () throws(SystemError) in try RouteSocket().kind(of: name) }
        guard kind.name == "tun", !kind.isTap else { throw .nameTaken(name) }
        // The kernel refuses a second queue of a single-queue device.
        guard kind.isPersistent, !kind.isMultiQueue || kind.queues == 0 else {
            throw .nameInUse(name)
        }
        try attach(fd, name, kind.isMultiQueue ? flags : flags & ~IFF_MULTI_QUEUE)
        // If two daemons attach at the same time, both give up.
        let now = try system { () throws(SystemError) in try RouteSocket().kind(of: name) }
        guard !kind.isMultiQueue || now.queues == 1 else { throw .nameInUse(name) }
        return kind.isMultiQueue
    }

    static func finish(
        _ fd: consuming FileDescriptor, capabilities: (virtio: Bool, multiQueue: Bool),
        offloads: TunOffloads
    ) throws(TunDeviceError) -> TunDevice {
        var granted: TunOffloads = []
        if capabilities.virtio {
            let raw = fd.rawValue
            _ = try system { () throws(SystemError) in
                try SystemCall.call("TUNSETVNETHDRSZ") { clinux_tun_set_header_size(raw, 10) }
            }
            granted = negotiate(offloads, fd)
        }
        return TunDevice(
            descriptor: fd,
            capabilities: Capabilities(
                hasVirtioNetHeader: capabilities.virtio, isMultiQueue: capabilities.multiQueue,
                offloads: granted))
    }

    /// Calls `body` and wraps its errors in `.system`.
    static func system<Result: ~Copyable>(
        _ body: () throws(SystemError) -> Result
    ) throws(TunDeviceError) -> Result {
        do throws(SystemError) {
            return try body()
        } catch {
            throw .system(error)
        }
    }

    /// Requests all offloads, then those of kernels before 6.2, then none. If TUNSETOFFLOAD itself fails,
    /// the device keeps its default, which is none.
    private static func negotiate(
        _ offloads: TunOffloads, _ fd: borrowing FileDescriptor
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
