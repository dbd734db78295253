import CLinux
import Glibc
import LinuxIO
import Packets
import Testing

@Suite("Kernel control: sockets and the socket file", .serialized)
struct KernelControlTests {
    @Test("all pairs of a request share one port, with and without receive offload")
    func bind() throws {
        try Host.inNewNamespace {
            let kernel = try Self.kernel()
            for offload in [UDPSocket.ReceiveOffload.enabled, .disabled] {
                let pairs = try kernel.bindSockets(
                    KernelControl.SocketRequest(port: 0, count: 3, receiveOffload: offload))
                #expect(pairs.count == 3)
                #expect(pairs[0].port != 0)
                #expect(Set(pairs.map(\.port)).count == 1)
                for pair in pairs {
                    let v4 = try #require(pair.v4)
                    let hasOffload = v4.socket.hasReceiveOffload
                    #expect(hasOffload == (offload == .enabled))
                }
            }
        }
    }

    @Test("a port in use is an error, and the port can be bound once it is free")
    func portInUse() throws {
        try Host.inNewNamespace {
            let kernel = try Self.kernel()
            var pairs = try kernel.bindSockets(KernelControl.SocketRequest(port: 5151))
            #expect(throws: SystemError(call: "bind", code: EADDRINUSE)) {
                _ = try kernel.bindSockets(KernelControl.SocketRequest(port: 5151, count: 2))
            }
            pairs.removeAll()
            #expect(pairs.isEmpty)
            let again = try kernel.bindSockets(KernelControl.SocketRequest(port: 5151, count: 2))
            #expect(again.map(\.port) == [5151, 5151])
        }
    }

    @Test("a mark is set when a socket is bound and can be changed", arguments: [0, 7, UInt32.max])
    func mark(mark: UInt32) throws {
        try Host.inNewNamespace {
            let kernel = try Self.kernel()
            let pair = try kernel.bindSockets(KernelControl.SocketRequest(port: 0, mark: 42))[0]
            #expect(try Self.marks(pair) == [42, 42])
            try kernel.setMark(mark, of: pair)
            #expect(try Self.marks(pair) == [mark, mark])
        }
    }

    @Test("without the capabilities a mark is refused and nothing changes")
    func markRefused() throws {
        try Host.inNewNamespace {
            let kernel = try Self.kernel()
            let pair = try kernel.bindSockets(KernelControl.SocketRequest(port: 0, mark: 42))[0]
            try Host.without(CAP_NET_ADMIN, CAP_NET_RAW) {
                #expect(throws: SystemError(call: "setsockopt", code: EPERM)) {
                    try kernel.setMark(7, of: pair)
                }
                #expect(throws: SystemError(call: "setsockopt", code: EPERM)) {
                    _ = try kernel.bindSockets(KernelControl.SocketRequest(port: 0, mark: 7))
                }
                let plain = try kernel.bindSockets(KernelControl.SocketRequest(port: 0))
                #expect(plain.count == 1)
            }
            #expect(try Self.marks(pair) == [42, 42])
        }
    }

    @Test("the socket file is removed on request, before the listener closes")
    func removeSocketFile() throws {
        try Self.withListener { kernel, path in
            #expect(Self.exists(path))
            kernel.removeSocketFile()
            #expect(!Self.exists(path))
        }
    }

    @Test("a file that replaced the socket file stays, at the first and the second request")
    func replacedSocketFile() throws {
        try Self.withListener { kernel, path in
            try Host.run("rm \(path)")
            try Host.run("touch \(path)")
            kernel.removeSocketFile()
            #expect(Self.exists(path))
        }
        try Self.withListener { kernel, path in
            kernel.removeSocketFile()
            try Host.run("touch \(path)")
            kernel.removeSocketFile()
            #expect(Self.exists(path))
        }
    }

    @Test("the socket file is removed with the object that owns it")
    func ownership() throws {
        try Host.inNewNamespace {
            try Host.withDirectory { directory in
                let path = "\(directory)/io0.sock"
                let device = try TunDevice.create(try #require(InterfaceName("iot0")))
                var listener = try UnixListener(path: path)
                var kernel: KernelControl? = try KernelControl(
                    tun: device, socketFile: listener.takeFile())
                let isTakenAgain = listener.takeFile() != nil
                #expect(!isTakenAgain)
                _ = consume listener
                #expect(Self.exists(path))
                #expect(kernel != nil)
                kernel = nil
                #expect(!Self.exists(path))
            }
        }
    }

    @Test(
        "the interface is deleted with the last descriptor, which can be that of the kernel control"
    )
    func lastDescriptor() throws {
        try Host.inNewNamespace {
            let routes = try RouteSocket()
            let name = try #require(InterfaceName("iot0"))
            var kernel: KernelControl? = try Self.kernel()
            #expect(kernel?.quietLink().isEmpty == true)
            _ = try routes.link(named: name)
            kernel = nil
            #expect(kernel == nil)
            #expect(Host.eventually { (try? routes.link(named: name)) == nil })
        }
    }

    /// Calls `body` with the owner of the file of a listener.
    private static func withListener(_ body: (KernelControl, String) throws -> Void) throws {
        try Host.inNewNamespace {
            try Host.withDirectory { directory in
                let path = "\(directory)/io0.sock"
                let device = try TunDevice.create(try #require(InterfaceName("iot0")))
                var listener = try UnixListener(path: path)
                try body(try KernelControl(tun: device, socketFile: listener.takeFile()), path)
                _ = consume listener
            }
        }
    }

    private static func kernel() throws -> KernelControl {
        try KernelControl(tun: try TunDevice.create(try #require(InterfaceName("iot0"))))
    }

    private static func exists(_ path: String) -> Bool {
        unsafe access(path, F_OK) == 0
    }

    private static func marks(_ pair: UDPSocketPair) throws -> [UInt32] {
        try [pair.v4, pair.v6].map { shared in
            var mark: UInt32 = 0
            var size = socklen_t(MemoryLayout<UInt32>.size)
            let code = unsafe getsockopt(
                try #require(shared).socket.descriptor.rawValue, SOL_SOCKET, SO_MARK, &mark, &size)
            try #require(code == 0)
            return mark
        }
    }
}
