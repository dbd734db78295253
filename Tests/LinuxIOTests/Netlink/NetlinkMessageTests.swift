import CLinux
import Glibc
import Packets
import Testing

@testable import LinuxIO

@Suite("Netlink messages")
struct NetlinkMessageTests {
    @Test("a request has its length, type and flags in the header")
    func header() {
        let message = NetlinkMessage(type: 18, flags: 4)
        #expect(message.bytes == [16, 0, 0, 0, 18, 0, 5, 0] + Array(repeating: 0, count: 8))
    }

    @Test("attributes are padded to four bytes, and their lengths exclude the padding")
    func attributes() {
        var message = NetlinkMessage(type: 18, flags: 0)
        message.add(3, "wg0")
        message.add(8, UInt8(7))
        message.nest(26) { outer in
            outer.nest(2) { $0.add(1, UInt32(0x0102_0304)) }
        }
        #expect(message.bytes.count % 4 == 0)
        #expect(
            NetlinkParts.load(UInt32.self, message.bytes[...], at: 0) == UInt32(message.bytes.count)
        )
        let parts = Array(NetlinkParts(.attributes, message.bytes.dropFirst(16)))
        #expect(parts.map(\.type) == [3, 8, 26])
        #expect(Array(parts[0].payload) == Array("wg0".utf8) + [0])
        #expect(Array(parts[1].payload) == [7])
        let outer = Array(NetlinkParts(.attributes, parts[2].payload))
        #expect(outer.map(\.type) == [2])
        let inner = Array(NetlinkParts(.attributes, outer[0].payload))
        #expect(inner.map(\.type) == [1])
        #expect(inner[0].load(UInt32.self) == 0x0102_0304)
    }

    @Test("a fixed part counts in the length of the message")
    func fixedPart() {
        var message = NetlinkMessage(type: 16, flags: 0)
        message.appendFixed(UInt32(0xAABB_CCDD))
        #expect(message.bytes.count == 20)
        #expect(message.bytes[0] == 20)
        #expect(NetlinkParts.load(UInt32.self, message.bytes[...], at: 16) == 0xAABB_CCDD)
    }

    @Test("several messages of one datagram are separated, with their flags")
    func messages() {
        let first = NetlinkMessage(type: 16, flags: 2).bytes
        var second = NetlinkMessage(type: 17, flags: 0)
        second.add(1, UInt16(9))
        let parts = Array(NetlinkParts(.messages, (first + second.bytes)[...]))
        #expect(parts.map(\.type) == [16, 17])
        #expect(parts.map(\.flags) == [3, 1])
        #expect(parts[0].payload.isEmpty)
        #expect(parts[1].payload.count == 8)
    }

    @Test("the flag bits of an attribute are not part of its type")
    func attributeFlags() {
        let bytes: [UInt8] = [4, 0, 5, 0xC0]
        #expect(NetlinkParts(.attributes, bytes[...]).map(\.type) == [5])
    }

    @Test(
        "a part with an impossible length ends the sequence",
        arguments: [0, 1, 3, 17, 255, 65_535] as [UInt16])
    func impossibleLength(length: UInt16) {
        let good: [UInt8] = [8, 0, 1, 0, 1, 2, 3, 4]
        let bad = [UInt8(length & 0xFF), UInt8(length >> 8), 2, 0, 0, 0, 0, 0]
        let parts = Array(NetlinkParts(.attributes, (good + bad + good)[...]))
        #expect(parts.map(\.type) == [1])
    }

    @Test("a message that is cut at any byte never yields more than it has")
    func truncated() {
        var message = NetlinkMessage(type: Int32(RTM_NEWLINK), flags: 0)
        for _ in 0..<4 { message.appendFixed(UInt32(1)) }
        message.add(Int(IFLA_MTU), UInt32(1420))
        message.nest(Int(IFLA_LINKINFO)) { info in
            info.add(Int(IFLA_INFO_KIND), "tun")
            info.nest(Int(IFLA_INFO_DATA)) { $0.add(Int(IFLA_TUN_PERSIST), UInt8(1)) }
        }
        for count in 0...message.bytes.count {
            let cut = message.bytes.prefix(count)
            let parts = Array(NetlinkParts(.messages, cut))
            #expect(parts.count == (count == message.bytes.count ? 1 : 0))
            let payload = cut.dropFirst(16)
            let state = LinkState(payload, namespace: nil)
            #expect((state != nil) == (payload.count >= 16))
            #expect(state == nil || [0, 1420].contains(state?.mtu))
            #expect(["", "tun"].contains(LinkKind(payload).name))
            _ = RouteSocket.broadcastAddresses(payload)
        }
    }

    @Test("random bytes are parsed without a trap, and within their bounds")
    func random() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<2000 {
            let bytes = (0..<Int.random(in: 0...120)).map { index -> UInt8 in
                // Small values, so that some lengths make sense.
                UInt8.random(in: 0...(index % 2 == 0 ? 40 : 1), using: &generator)
            }
            for kind in [NetlinkParts.Kind.messages, .attributes] {
                for part in NetlinkParts(kind, bytes[...]) {
                    #expect(part.payload.endIndex <= bytes.count)
                    _ = NetlinkSocket.error(of: part)
                    _ = Forwarding.isChange(part)
                }
            }
            _ = LinkState(bytes[...], namespace: 3)
            _ = LinkKind(bytes[...])
            _ = RouteSocket.broadcastAddresses(bytes[...])
        }
    }

    @Test("loads outside of the payload are nil")
    func load() {
        let bytes: [UInt8] = [1, 0, 0, 0, 2]
        #expect(NetlinkParts.load(UInt32.self, bytes[...], at: 0) == 1)
        #expect(NetlinkParts.load(UInt32.self, bytes[...], at: 2) == nil)
        #expect(NetlinkParts.load(UInt32.self, bytes[...], at: -1) == nil)
        #expect(NetlinkParts.load(UInt8.self, bytes[...], at: 5) == nil)
        #expect(NetlinkParts.load(UInt8.self, bytes.dropFirst(4), at: 0) == 2)
    }

    @Test(
        "an error message has the errno of the kernel, an acknowledgement none",
        arguments: [
            (-1, 1), (-22, 22), (22, 22), (.min, EPROTO), (0, nil),
        ] as [(Int32, Int32?)])
    func errors(code: Int32, errno: Int32?) {
        var message = NetlinkMessage(type: Int32(NLMSG_ERROR), flags: 0)
        message.appendFixed(code)
        let part = Array(NetlinkParts(.messages, message.bytes[...]))[0]
        #expect(NetlinkSocket.error(of: part)?.code == errno)
    }

    @Test("an error message without an errno is a protocol error")
    func shortError() {
        let message = NetlinkMessage(type: Int32(NLMSG_ERROR), flags: 0)
        let part = Array(NetlinkParts(.messages, message.bytes[...]))[0]
        #expect(NetlinkSocket.error(of: part) == SystemError(call: "netlink", code: EPROTO))
    }

    @Test(
        "the broadcast addresses of a network are the configured one and the last one",
        arguments: [
            (24, nil, [0x0A01_02FF]), (24, 0x0A01_0280, [0x0A01_02FF, 0x0A01_0280]),
            (8, nil, [0x0AFF_FFFF]), (0, nil, [0xFFFF_FFFF]), (30, nil, [0x0A01_0203]),
            (31, nil, []), (32, nil, []), (255, nil, []),
        ] as [(UInt8, UInt32?, [UInt32])])
    func broadcastAddresses(prefixLength: UInt8, configured: UInt32?, expected: [UInt32]) {
        var message = NetlinkMessage(type: Int32(RTM_NEWADDR), flags: 0)
        for byte in [UInt8(AF_INET), prefixLength, 0, 0] { message.appendFixed(byte) }
        message.appendFixed(UInt32(1))
        message.add(Int(IFA_ADDRESS), UInt32(0x0A01_0203).bigEndian)
        if let configured { message.add(Int(IFA_BROADCAST), configured.bigEndian) }
        let found = RouteSocket.broadcastAddresses(message.bytes.dropFirst(16))
        #expect(found.map(\.bits) == expected)
    }

    @Test("a change of forwarding counts only if it concerns all links")
    func forwarding() {
        for (index, type, expected) in [
            (NETCONFA_IFINDEX_ALL, Int32(RTM_NEWNETCONF), true), (5, Int32(RTM_NEWNETCONF), false),
            (NETCONFA_IFINDEX_ALL, Int32(RTM_NEWLINK), false),
        ] {
            var message = NetlinkMessage(type: type, flags: 0)
            message.appendFixed(UInt32(AF_INET))
            message.add(Int(NETCONFA_IFINDEX), Int32(index))
            let before = Array(NetlinkParts(.messages, message.bytes[...]))[0]
            #expect(!Forwarding.isChange(before))
            message.add(Int(NETCONFA_FORWARDING), Int32(1))
            let part = Array(NetlinkParts(.messages, message.bytes[...]))[0]
            #expect(Forwarding.isChange(part) == expected)
        }
    }
}
