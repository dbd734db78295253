import CLinux
import Glibc
import LinuxIO
import Packets
import Testing

@Suite("TUN devices", .serialized)
struct TunDeviceTests {
    static let near = IPv4Address(bits: 0x0A4C_0001)
    static let far = IPv4Address(bits: 0x0A4C_0002)

    @Test("creating a device that exists is an error: in use, or a link of another kind")
    func exclusive() throws {
        try Host.inNewNamespace {
            let name = try #require(InterfaceName("iot0"))
            let first = try TunDevice.create(name)
            let firstName = try first.name()
            #expect(firstName == name)
            #expect(throws: TunDeviceError.nameInUse(name)) { _ = try TunDevice.create(name) }
            try Host.run("ip link add iot1 type veth peer name iot2")
            let other = try #require(InterfaceName("iot1"))
            #expect(throws: TunDeviceError.nameTaken(other)) { _ = try TunDevice.create(other) }
        }
    }

    @Test("only one process attaches to a persistent device", arguments: [true, false])
    func madeBeforehand(multiQueue: Bool) throws {
        try Host.inNewNamespace {
            try Host.run(
                "ip tuntap add iot3 mode tun vnet_hdr \(multiQueue ? "multi_queue" : "")")
            let name = try #require(InterfaceName("iot3"))
            let first = try TunDevice.create(name)
            let capabilities = first.capabilities
            #expect(capabilities.isMultiQueue == multiQueue)
            #expect(throws: TunDeviceError.nameInUse(name)) { _ = try TunDevice.create(name) }
            _ = consume first
            let isFree = Host.eventually { (try? TunDevice.create(name)) != nil }
            #expect(isFree)
            try Host.run("ip tuntap add iot4 mode tap")
            let tap = try #require(InterfaceName("iot4"))
            #expect(throws: TunDeviceError.nameTaken(tap)) { _ = try TunDevice.create(tap) }
        }
    }

    @Test("the kernel grants the offloads that it supports, and several queues")
    func capabilities() throws {
        try Host.inNewNamespace {
            let device = try TunDevice.create(try #require(InterfaceName("iot0")))
            let capabilities = device.capabilities
            #expect(capabilities.hasVirtioNetHeader && capabilities.isMultiQueue)
            #expect(capabilities.offloads.isSuperset(of: [.checksum, .segments]))
            let plain = try TunDevice.create(
                try #require(InterfaceName("iot1")), offloads: [])
            let offloads = plain.capabilities.offloads
            #expect(offloads.isEmpty)
            for index in 0..<4 {
                let queue = try device.openQueue(index)
                var buffer = PacketBuffer(byteCount: 100)
                var bytes = buffer.mutableBytes
                let result = queue.read(into: &bytes, at: 0, count: 100)
                #expect(result == .wouldBlock)
            }
        }
    }

    @Test("a packet is read with its virtio header at the given offset")
    func read() throws {
        try Host.inNewNamespace {
            let tun = try Tun()
            try tun.send(length: 5, segmentSize: 0)
            let packet = try tun.read()
            #expect(packet.count == 10 + 28 + 5)
            #expect(packet[10] == 0x45)
            #expect(packet[26..<30] == [0x0A, 0x4C, 0, 2])
            #expect(packet.suffix(5) == [0, 1, 2, 3, 4])
        }
    }

    @Test("a segmented send is read as one super-packet if the kernel has USO")
    func superpacket() throws {
        try Host.inNewNamespace {
            let tun = try Tun()
            let offloads = tun.device.capabilities.offloads
            try tun.send(length: 10_000, segmentSize: 1000)
            let packet = try tun.read()
            if offloads.contains(.datagrams) {
                // VIRTIO_NET_HDR_GSO_UDP_L4, segments of 1000 bytes.
                #expect(packet[1] == 5)
                #expect(packet[4] == UInt8(1000 & 0xFF) && packet[5] == UInt8(1000 >> 8))
                #expect(packet.count == 10 + 28 + 10_000)
            } else {
                #expect(packet.count == 10 + 28 + 1000)
            }
        }
    }

    @Test("without offloads each datagram is read separately, with its checksum")
    func withoutOffloads() throws {
        try Host.inNewNamespace {
            let tun = try Tun(offloads: [])
            try tun.send(length: 3000, segmentSize: 1000)
            for _ in 0..<3 {
                let packet = try tun.read()
                #expect(packet.count == 10 + 28 + 1000)
                #expect(packet[0..<10].allSatisfy { $0 == 0 })
            }
        }
    }

    @Test("a packet written in pieces arrives at a socket")
    func write() throws {
        try Host.inNewNamespace {
            let tun = try Tun()
            let socket = try UDPSocket(.v4, port: 7777)
            let result = tun.write(Tun.datagram(Array("hello".utf8), port: 7777))
            #expect(result == .written)
            let messages = try Loop.drain(socket)
            #expect(messages.map(\.bytes) == [Array("hello".utf8)])
            #expect(messages.first?.remote.address == .v4(Self.far))
        }
    }

    @Test("a write reports an invalid packet, a link that is down, and a deleted link")
    func writeErrors() throws {
        try Host.inNewNamespace {
            let tun = try Tun()
            let refused = tun.write([0x55])
            #expect(refused == .refused)
            let index = try tun.index()
            let routes = try RouteSocket()
            try routes.bringDown(index)
            let down = tun.write(Tun.datagram([1], port: 7777))
            #expect(down == .down)
            try routes.bringUp(index)
            let up = tun.write(Tun.datagram([1], port: 7777))
            #expect(up == .written)

            let epoll = try Epoll()
            var events = EpollEvents(capacity: 4)
            try epoll.add(tun.queue.descriptor, token: 17)
            try Host.run("ip link delete iot0")
            let gone = tun.write(Tun.datagram([1], port: 7777))
            #expect(gone == .gone)
            var buffer = PacketBuffer(byteCount: 100)
            var bytes = buffer.mutableBytes
            let read = tun.queue.read(into: &bytes, at: 0, count: 100)
            #expect(read == .gone)
            let count = try epoll.wait(into: &events, milliseconds: 1000)
            #expect(count == 1)
            let (token, isBroken) = (events.token(0), events.isBroken(0))
            #expect(token == 17 && isBroken)
            #expect(throws: SystemError(call: "TUNGETIFF", code: EBADFD)) {
                _ = try tun.device.name()
            }
        }
    }

    @Test(
        "a TUN of another process is adopted with its flags",
        arguments: [true, false], [true, false])
    func adopt(virtio: Bool, multiQueue: Bool) throws {
        try Host.inNewNamespace {
            let raw = try Tun.openForeign(
                "iot5",
                flags: IFF_TUN | IFF_NO_PI | (virtio ? IFF_VNET_HDR : 0)
                    | (multiQueue ? IFF_MULTI_QUEUE : 0))
            let device = try TunDevice.adopt(FileDescriptor(owning: raw))
            let capabilities = device.capabilities
            #expect(capabilities.hasVirtioNetHeader == virtio)
            #expect(capabilities.isMultiQueue == multiQueue)
            #expect(capabilities.offloads.isEmpty != virtio)
            let name = try device.name()
            #expect(name.rawValue == "iot5")
            var buffer = PacketBuffer(byteCount: 100)
            var bytes = buffer.mutableBytes
            let queue = try device.openQueue(0)
            let result = queue.read(into: &bytes, at: 0, count: 100)
            #expect(result == .wouldBlock)
            if multiQueue {
                _ = try device.openQueue(1)
            } else {
                #expect(throws: TunDeviceError.singleQueue) { _ = try device.openQueue(1) }
            }
        }
    }

    @Test("a descriptor that is not a TUN without packet information is refused")
    func adoptStranger() throws {
        try Host.inNewNamespace {
            #expect(throws: TunDeviceError.notATun) {
                _ = try TunDevice.adopt(try NetworkNamespace.current())
            }
            let tap = try Tun.openForeign("iot6", flags: IFF_TAP | IFF_NO_PI)
            #expect(throws: TunDeviceError.notATun) {
                _ = try TunDevice.adopt(FileDescriptor(owning: tap))
            }
            let withInformation = try Tun.openForeign("iot7", flags: IFF_TUN)
            #expect(throws: TunDeviceError.notATun) {
                _ = try TunDevice.adopt(FileDescriptor(owning: withInformation))
            }
        }
    }

    @Test("without CAP_NET_ADMIN no device is created")
    func notPermitted() throws {
        try Host.inNewNamespace {
            try Host.without(CAP_NET_ADMIN) {
                let name = try #require(InterfaceName("iot0"))
                #expect(throws: TunDeviceError.notPermitted) { _ = try TunDevice.create(name) }
            }
        }
    }

    @Test("MTU, queue length and super-packet size can be set")
    func settings() throws {
        try Host.inNewNamespace {
            let tun = try Tun()
            let index = try tun.index()
            let routes = try RouteSocket()
            try routes.set(mtu: 1420, of: index)
            try routes.set(transmitQueueLength: 100, of: index)
            try routes.set(maximumSuperpacket: 62_000, segments: 44, of: index)
            let link = try routes.link(index: index)
            #expect(link.mtu == 1420)
            #expect(link.transmitQueueLength == 100)
            #expect(link.maximumSuperpacket == 62_000)
            #expect(link.isUp)
            #expect(throws: SystemError(call: "netlink", code: EINVAL)) {
                try routes.set(mtu: 65_536, of: index)
            }
            #expect(throws: SystemError(call: "netlink", code: ENODEV)) {
                _ = try routes.link(index: 4242)
            }
        }
    }
}
