import CLinux
import Glibc
import LinuxIO
import Packets
import Testing

@Suite("UDP sockets over loopback", .serialized)
struct UDPSocketTests {
    @Test(
        "a datagram arrives with its remote, its local address and its traffic class",
        arguments: [AddressFamily.v4, .v6])
    func singleDatagram(family: AddressFamily) throws {
        try Host.inNewNamespace {
            var link = try Loop(family)
            link.send.append(
                offset: 100, length: 5, segmentSize: 0, to: link.destination, source: nil,
                trafficClass: 0xB9)
            let outcome = link.flush()
            #expect(outcome.sent == 1 && outcome.dropped == 0 && outcome.lastError == 0)
            let messages = try link.receiveAll()
            let message = try #require(messages.first)
            #expect(messages.count == 1)
            #expect(message.bytes == Array(100..<105))
            #expect(message.remote == link.origin)
            #expect(message.segmentSize == 0)
            #expect(message.trafficClass == 0xB9)
            #expect(!message.isTruncated)
            #expect(message.source?.address == family.loopback)
            #expect(message.source?.interfaceIndex == 1)
        }
    }

    @Test("datagrams of 0 to 65 507 bytes arrive complete", arguments: [AddressFamily.v4, .v6])
    func lengths(family: AddressFamily) throws {
        try Host.inNewNamespace {
            var link = try Loop(family)
            for length in [0, 1, 1472, 1473, 9000, 65_507] {
                link.send.append(
                    offset: 0, length: length, segmentSize: 0, to: link.destination, source: nil,
                    trafficClass: 0)
                let outcome = link.flush()
                #expect(outcome.sent == 1)
                let messages = try link.receiveAll()
                #expect(messages.map(\.bytes.count) == [length])
                #expect(messages.first?.trafficClass == 0)
            }
        }
    }

    @Test(
        "a segmented send is sent and received as one message", arguments: [AddressFamily.v4, .v6])
    func segments(family: AddressFamily) throws {
        try Host.inNewNamespace {
            var link = try Loop(family)
            let isCapable = link.receiver.hasReceiveOffload && link.sender.hasSegmentation
            try #require(isCapable, "these tests need a kernel with UDP_SEGMENT and UDP_GRO")
            link.send.append(
                offset: 7, length: 44 * 1452 + 99, segmentSize: 1452, to: link.destination,
                source: nil, trafficClass: 0x02)
            let outcome = link.flush()
            #expect(outcome.sent == 1)
            #expect(outcome.segmentationFailure == nil)
            let messages = try link.receiveAll()
            let message = try #require(messages.first)
            #expect(messages.count == 1)
            #expect(message.segmentSize == 1452)
            #expect(message.trafficClass == 0x02)
            #expect(message.bytes == Loop.pattern(7, 44 * 1452 + 99))
        }
    }

    @Test("without UDP_GRO the datagrams of a segmented send arrive separately, in order")
    func receiveOffloadDisabled() throws {
        try Host.inNewNamespace {
            var link = try Loop(.v4, receiveOffload: .disabled)
            let hasOffload = link.receiver.hasReceiveOffload
            #expect(!hasOffload)
            link.send.append(
                offset: 0, length: 2500, segmentSize: 1000, to: link.destination, source: nil,
                trafficClass: 0)
            let outcome = link.flush()
            #expect(outcome.sent == 1)
            let messages = try link.receiveAll()
            #expect(messages.map(\.bytes.count) == [1000, 1000, 500])
            #expect(messages.map(\.segmentSize) == [0, 0, 0])
            #expect(messages.flatMap(\.bytes) == Loop.pattern(0, 2500))
        }
    }

    @Test("a batch with more messages than slots is received by several calls")
    func manyMessages() throws {
        try Host.inNewNamespace {
            var link = try Loop(.v4, receiveOffload: .disabled)
            for index in 0..<64 {
                link.send.append(
                    offset: index, length: 100 + index, segmentSize: 0, to: link.destination,
                    source: nil, trafficClass: UInt8(index))
            }
            let isFull = link.send.isFull
            #expect(isFull)
            let outcome = link.flush()
            #expect(outcome.sent == 64)
            let messages = try link.receiveAll()
            #expect(messages.map(\.bytes.count) == Array(100..<164))
            #expect(messages.map(\.trafficClass) == Array(0..<64))
        }
    }

    @Test("a datagram is sent from the given source")
    func source() throws {
        try Host.inNewNamespace {
            var link = try Loop(.v4)
            let local = SourceAddress(
                address: .v4(IPv4Address(bits: 0x7F00_0002)), interfaceIndex: 1)
            link.send.append(
                offset: 0, length: 10, segmentSize: 0, to: link.destination, source: local,
                trafficClass: 0)
            let outcome = link.flush()
            #expect(outcome.sent == 1 && outcome.staleSources == 0)
            let messages = try link.receiveAll()
            #expect(messages.first?.remote.address == local.address)
        }
    }

    @Test(
        "a source that the host no longer has is reported, and the message is sent without it",
        arguments: [AddressFamily.v4, .v6], [0, 1000])
    func staleSource(family: AddressFamily, segmentSize: Int) throws {
        try Host.inNewNamespace {
            var link = try Loop(family)
            let strangers = [
                SourceAddress(address: family.stranger, interfaceIndex: 0),
                SourceAddress(address: family.stranger, interfaceIndex: 1),
            ]
            for stranger in strangers {
                link.send.append(
                    offset: 0, length: 3000, segmentSize: segmentSize, to: link.destination,
                    source: nil, trafficClass: 0)
                link.send.append(
                    offset: 0, length: 3000, segmentSize: segmentSize, to: link.destination,
                    source: stranger, trafficClass: 0)
            }
            let outcome = link.flush()
            #expect(outcome.sent == 4 && outcome.dropped == 0)
            #expect(outcome.staleSources == 0b1010)
            #expect(outcome.segmentationFailure == nil)
            #expect(!outcome.isSourceStale(0) && outcome.isSourceStale(1))
            let messages = try link.receiveAll()
            #expect(messages.map(\.segmentSize) == Array(repeating: segmentSize, count: 4))
            #expect(messages.allSatisfy { $0.remote == link.origin })
        }
    }

    @Test(
        "the interface of a source is not forced: the route decides",
        arguments: [AddressFamily.v4, .v6])
    func otherInterface(family: AddressFamily) throws {
        try Host.inNewNamespace {
            var link = try Loop(family)
            link.send.append(
                offset: 0, length: 10, segmentSize: 0, to: link.destination,
                source: SourceAddress(address: family.loopback, interfaceIndex: 999),
                trafficClass: 0)
            let outcome = link.flush()
            #expect(outcome.sent == 1 && outcome.staleSources == 0)
            let messages = try link.receiveAll()
            #expect(messages.count == 1)
        }
    }

    @Test("the datagrams of a refused message are counted, and the other messages are sent")
    func unreachable() throws {
        try Host.inNewNamespace {
            var link = try Loop(.v4)
            let nowhere = SocketAddress(address: .v4(IPv4Address(bits: 0xC000_0201)), port: 9)
            for remote in [link.destination, nowhere, link.destination, nowhere] {
                link.send.append(
                    offset: 0, length: 2000, segmentSize: 1000, to: remote, source: nil,
                    trafficClass: 0)
            }
            let outcome = link.flush()
            #expect(outcome.sent == 2 && outcome.dropped == 4)
            #expect(outcome.lastError == ENETUNREACH)
            #expect(outcome.segmentationFailure == nil)
            let messages = try link.receiveAll()
            #expect(messages.count == 2)
        }
    }

    @Test(
        "datagrams larger than the path MTU are fragmented, also in a segmented send",
        arguments: [AddressFamily.v4, .v6], [0, 1452])
    func smallPath(family: AddressFamily, segmentSize: Int) throws {
        try Host.inNewNamespace {
            let routes = try RouteSocket()
            try routes.set(mtu: 1280, of: 1)
            var link = try Loop(family)
            link.send.append(
                offset: 3, length: 10_000, segmentSize: segmentSize, to: link.destination,
                source: nil, trafficClass: 0)
            let outcome = link.flush()
            #expect(outcome.sent == 1 && outcome.dropped == 0)
            #expect(outcome.segmentationFailure?.code == (segmentSize == 0 ? nil : EMSGSIZE))
            let messages = try link.receiveAll()
            #expect(messages.flatMap(\.bytes) == Loop.pattern(3, 10_000))
            #expect(messages.count == (segmentSize == 0 ? 1 : 7))
        }
    }

    @Test("a segmented send refused with EINVAL is sent as single datagrams without loss")
    func refusedRun() throws {
        try Host.inNewNamespace {
            var link = try Loop(.v4)
            // The kernel refuses to segment without checksums.
            var on: Int32 = 1
            let code = unsafe setsockopt(
                link.sender.descriptor.rawValue, SOL_SOCKET, SO_NO_CHECK, &on, 4)
            try #require(code == 0)
            for offset in [0, 50] {
                link.send.append(
                    offset: offset, length: 20_000, segmentSize: 1000, to: link.destination,
                    source: SourceAddress(address: AddressFamily.v4.loopback, interfaceIndex: 1),
                    trafficClass: 0x01)
            }
            let outcome = link.flush()
            #expect(outcome.sent == 2 && outcome.dropped == 0 && outcome.staleSources == 0)
            #expect(outcome.segmentationFailure?.index == 0)
            #expect(outcome.segmentationFailure?.code == EINVAL)
            let messages = try link.receiveAll()
            #expect(messages.count == 40)
            #expect(
                messages.flatMap(\.bytes) == Loop.pattern(0, 20_000) + Loop.pattern(50, 20_000))
            #expect(messages.allSatisfy { $0.trafficClass == 0x01 })
        }
    }

    @Test("a socket that stays full delays the sender only briefly, and lost datagrams are counted")
    func fullSocket() throws {
        try Host.inNewNamespace {
            try Host.run("ip link add iov0 type veth peer name iov1")
            try Host.run("ip addr add 10.77.0.1/24 dev iov0")
            try Host.run("ip link set iov0 up")
            try Host.run("ip link set iov1 up")
            try Host.run("ip neigh add 10.77.0.2 lladdr 02:00:00:00:00:01 dev iov0")
            // The link sends nothing for many seconds, so the buffer of the socket stays full.
            try Host.run("tc qdisc add dev iov0 root tbf rate 8kbit burst 2k limit 100m")
            var link = try Loop(.v4)
            var small: Int32 = 4096
            _ = unsafe setsockopt(
                link.sender.descriptor.rawValue, SOL_SOCKET, SO_SNDBUF, &small, 4)
            let remote = SocketAddress(address: .v4(IPv4Address(bits: 0x0A4D_0002)), port: 9)
            for _ in 0..<64 {
                link.send.append(
                    offset: 0, length: 20_000, segmentSize: 1000, to: remote, source: nil,
                    trafficClass: 0)
            }
            let start = Clock.boottime()
            let outcome = link.flush()
            let elapsed = Clock.boottime() - start
            #expect(outcome.dropped > 0 && outcome.sent * 20 + outcome.dropped == 64 * 20)
            #expect(outcome.lastError == EAGAIN)
            #expect(elapsed < 2_000_000_000)
        }
    }

    @Test("an empty socket would block")
    func wouldBlock() throws {
        try Host.inNewNamespace {
            var link = try Loop(.v6)
            let result = link.receiveOnce()
            #expect(result == .wouldBlock)
        }
    }

    @Test("a port of another socket is in use, shared or not")
    func portConflict() throws {
        try Host.inNewNamespace {
            let first = try UDPSocketPair.bind(port: 0)[0]
            let port = first.port
            #expect(first.v6 != nil)
            #expect(throws: SystemError(call: "bind", code: EADDRINUSE)) {
                _ = try UDPSocket(.v4, port: port)
            }
            #expect(throws: SystemError(call: "bind", code: EADDRINUSE)) {
                _ = try UDPSocketPair.bind(port: port)
            }
        }
    }

    @Test("a port in use for IPv6 only cannot be bound")
    func portConflictIPv6() throws {
        try Host.inNewNamespace {
            let other = try UDPSocket(.v6, port: 4711)
            #expect(throws: SystemError(call: "bind", code: EADDRINUSE)) {
                _ = try UDPSocketPair.bind(port: other.port)
            }
        }
    }

    @Test("each remote arrives at one of the pairs of a port")
    func sharing() throws {
        try Host.inNewNamespace {
            let pairs = try UDPSocketPair.bind(port: 5151, count: 2)
            let destination = SocketAddress(address: AddressFamily.v4.loopback, port: 5151)
            var send = SendBatch(capacity: 2, family: .v4)
            let bytes = PacketBuffer(byteCount: 100)
            for _ in 0..<64 {
                let remote = try UDPSocket(.v4, port: 0)
                for _ in 0..<2 {
                    send.append(
                        offset: 0, length: 10, segmentSize: 0, to: destination, source: nil,
                        trafficClass: 0)
                }
                let outcome = send.flush(to: remote, from: bytes.bytes)
                #expect(outcome.sent == 2)
            }
            let counts = try pairs.map { try Loop.drain(#require($0.v4).socket) }
            let remotes = counts.map { Set($0.map(\.remote)) }
            #expect(counts[0].count + counts[1].count == 128)
            #expect(remotes[0].isDisjoint(with: remotes[1]))
            #expect(!remotes[0].isEmpty && !remotes[1].isEmpty)
        }
    }

    @Test("with IPv6 addresses disabled, IPv4 works and an IPv6 send returns an error")
    func disabledIPv6() throws {
        try Host.inNewNamespace {
            try Host.run("sysctl -q -w net.ipv6.conf.all.disable_ipv6=1")
            let pair = try UDPSocketPair.bind(port: 0)[0]
            let port = try #require(pair.v6).socket.port
            #expect(port == pair.port)
            var link = try Loop(.v6)
            link.send.append(
                offset: 0, length: 10, segmentSize: 0, to: link.destination, source: nil,
                trafficClass: 0)
            let outcome = link.flush()
            #expect(outcome.dropped == 1)
            #expect([EADDRNOTAVAIL, ENETUNREACH].contains(outcome.lastError))
        }
    }

    @Test("routing rules see the mark")
    func mark() throws {
        try Host.inNewNamespace {
            try Host.run("ip rule add fwmark 51820 prohibit")
            var link = try Loop(.v4)
            try link.sender.set(mark: 51820)
            let nowhere = SocketAddress(address: .v4(IPv4Address(bits: 0xC000_0201)), port: 9)
            link.send.append(
                offset: 0, length: 1, segmentSize: 0, to: nowhere, source: nil, trafficClass: 0)
            let marked = link.flush()
            #expect(marked.lastError == EACCES)
            try link.sender.set(mark: 0)
            link.send.append(
                offset: 0, length: 1, segmentSize: 0, to: nowhere, source: nil, trafficClass: 0)
            let unmarked = link.flush()
            #expect(unmarked.lastError == ENETUNREACH)
        }
    }

    @Test(
        "without the capabilities a socket works, with small buffers, and setting a mark fails")
    func notPermitted() throws {
        try Host.inNewNamespace {
            try Host.without(CAP_NET_ADMIN, CAP_NET_RAW) {
                var link = try Loop(.v4)
                #expect(throws: SystemError(call: "setsockopt", code: EPERM)) {
                    try link.sender.set(mark: 7)
                }
                #expect(throws: SystemError(call: "setsockopt", code: EPERM)) {
                    _ = try UDPSocketPair.bind(port: 0, options: UDPSocket.Options(mark: 7))
                }
                link.send.append(
                    offset: 0, length: 1, segmentSize: 0, to: link.destination, source: nil,
                    trafficClass: 0)
                let outcome = link.flush()
                #expect(outcome.sent == 1)
            }
        }
    }

    @Test("link-local addresses keep their scope")
    func scope() throws {
        try Host.inNewNamespace {
            try Host.run("ip link add iov0 type veth peer name iov1")
            try Host.run("ip addr add fe80::1/64 dev iov0 nodad")
            try Host.run("ip link set iov0 up")
            try Host.run("ip link set iov1 up")
            // The kernel adds the local route asynchronously after the link came up.
            let hasRoute = Host.eventually {
                let routes = try? Host.run("ip -6 route show table local dev iov0")
                return routes?.contains("local fe80::1 ") == true
            }
            try #require(hasRoute)
            let routes = try RouteSocket()
            let name = try #require(InterfaceName("iov0"))
            let index = try routes.link(named: name).index
            let local = IPAddress.v6(IPv6Address(high: 0xFE80 << 48, low: 1))
            var link = try Loop(.v6)
            link.send.append(
                offset: 0, length: 1, segmentSize: 0,
                to: SocketAddress(address: local, port: link.receiver.port, scope: index),
                source: nil, trafficClass: 0)
            let outcome = link.flush()
            #expect(outcome.sent == 1)
            let messages = try link.receiveAll()
            #expect(
                messages.first?.remote
                    == SocketAddress(address: local, port: link.sender.port, scope: index))
        }
    }
}

extension AddressFamily {
    var loopback: IPAddress {
        switch self {
        case .v4: .v4(IPv4Address(bits: 0x7F00_0001))
        case .v6: .v6(IPv6Address(high: 0, low: 1))
        }
    }

    /// An address that no host has (RFC 5737, RFC 3849).
    var stranger: IPAddress {
        switch self {
        case .v4: .v4(IPv4Address(bits: 0xCB00_7101))
        case .v6: .v6(IPv6Address(high: 0x2001_0DB8 << 32, low: 1))
        }
    }
}
