import Glibc
import LinuxIO
import Testing

@Suite("File descriptors and errors")
struct FileDescriptorTests {
    @Test("a duplicate outlives the original, and is above the standard streams")
    func duplicate() throws {
        try Host.withDirectory { directory in
            let path = "\(directory)/file"
            let original = FileDescriptor(
                owning: unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600))
            let copy = try original.duplicate()
            let (first, second) = (original.rawValue, copy.rawValue)
            #expect(first != second && second > 2)
            #expect(fcntl(second, F_GETFD) == FD_CLOEXEC)
            _ = consume original
            #expect(unsafe write(second, "x", 1) == 1)
            _ = consume copy
        }
    }

    @Test("a released descriptor stays open")
    func release() throws {
        let descriptor = FileDescriptor(owning: unsafe open("/dev/null", O_RDONLY | O_CLOEXEC))
        let raw = descriptor.release()
        #expect(fcntl(raw, F_GETFD) == FD_CLOEXEC)
        #expect(close(raw) == 0)
    }

    @Test("an inherited descriptor becomes non-blocking and close-on-exec")
    func nonBlocking() throws {
        let descriptor = FileDescriptor(owning: unsafe open("/dev/null", O_RDONLY))
        try descriptor.setNonBlocking()
        #expect(fcntl(descriptor.rawValue, F_GETFD) == FD_CLOEXEC)
        #expect(fcntl(descriptor.rawValue, F_GETFL) & O_NONBLOCK != 0)
        let invalid = FileDescriptor(owning: -1)
        #expect(throws: SystemError(call: "fcntl", code: EBADF)) { try invalid.setNonBlocking() }
        #expect(throws: SystemError(call: "fcntl", code: EBADF)) { _ = try invalid.duplicate() }
    }

    @Test("an error names its call, and is classified by its errno")
    func errors() {
        let error = SystemError(call: "bind", code: EADDRINUSE)
        #expect("\(error)" == "bind: Address already in use")
        #expect(error.isAddressInUse && !error.isFamilyMissing && !error.isPassing)
        #expect(error != SystemError(call: "connect", code: EADDRINUSE))
        #expect(error != SystemError(call: "bind", code: EPERM))
        #expect(SystemError.addressFamilyNotSupported.isFamilyMissing)
        #expect(SystemError(call: "netlink", code: ENODEV).isPassing)
        #expect(!SystemError(call: "setns", code: EPERM).isPassing)
        #expect(SystemError.message(of: 4095).contains("4095"))
    }

    @Test("errors of the TUN and of the socket are one line that names the remedy")
    func descriptions() throws {
        let name = try #require(InterfaceName("wg0"))
        let cause = SystemError(call: "open", code: EMFILE)
        let descriptions: [(any CustomStringConvertible, String)] = [
            (TunDeviceError.noDriver, "modprobe tun"),
            (TunDeviceError.notPermitted, "CAP_NET_ADMIN"),
            (TunDeviceError.nameInUse(name), "interface wg0 is in use"),
            (TunDeviceError.nameTaken(name), "ip link delete wg0"),
            (TunDeviceError.notATun, "IFF_NO_PI"), (TunDeviceError.singleQueue, "IFF_MULTI_QUEUE"),
            (TunDeviceError.system(cause), "open: Too many open files"),
            (UnixListenerError.inUse("/run/x"), "another process listens at /run/x"),
            (UnixListenerError.notASocket("/run/x"), "/run/x exists and is not a socket"),
            (UnixListenerError.pathTooLong("/run/x"), "/run/x is too long"),
            (UnixListenerError.notPermitted(directory: "/run/d", user: 7), "chown 7 /run/d"),
            (UnixListenerError.notListening, "not a listening socket"),
            (UnixListenerError.system(cause, directory: "/run/d"), "open: Too many open files"),
        ]
        for (error, part) in descriptions {
            #expect(error.description.contains(part))
            #expect(!error.description.contains("\n"))
        }
        #expect(TunDeviceError.system(cause).asSystemError == cause)
        #expect(TunDeviceError.singleQueue.asSystemError.code == EINVAL)
    }
}
