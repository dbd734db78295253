import CLinux
import Glibc
import Packets

/// Asks the kernel by which route it would send a datagram now, in the network namespace of the thread
/// that opens it.
///
/// The kernel answers during the request, which takes about a microsecond. No call blocks.
package struct RouteLookup: ~Copyable {
    /// What decides the route, besides the remote and the source.
    package struct Socket: Equatable, Sendable {
        /// The firewall mark, 0 for none.
        package var mark: UInt32
        /// The local port, 0 for none.
        package var port: UInt16

        /// Describes a socket.
        package init(mark: UInt32 = 0, port: UInt16 = 0) {
            self.mark = mark
            self.port = port
        }
    }

    /// The next hop of a route.
    package struct Route: Hashable, Sendable {
        /// The index of the interface that the datagram would leave by.
        package var interfaceIndex: UInt32
        /// The gateway; nil if the remote is on the link.
        package var gateway: IPAddress?

        /// Makes a route.
        package init(interfaceIndex: UInt32, gateway: IPAddress? = nil) {
            self.interfaceIndex = interfaceIndex
            self.gateway = gateway
        }
    }

    /// The answer of the kernel.
    package enum Answer: Equatable, Sendable {
        case route(Route)
        /// The kernel would not send it, for this errno: ENETUNREACH or another one, without a route or if
        /// an IPv4 source is no address of the host.
        case refused(Int32)
        /// The request failed.
        case unknown
    }

    private let descriptor: FileDescriptor

    private static let maximumResponse = 1024

    /// Opens the socket.
    package init() throws(SystemError) {
        let fd = try SystemCall.socket(AF_NETLINK, Int32(clinux_RAW), NETLINK_ROUTE)
        try fd.setNonBlocking()
        descriptor = fd
    }

    /// Looks up the route to a remote, without a required interface except for the scope of the remote.
    ///
    /// - Parameter source: the local address to send from; nil if the kernel chooses it.
    package func route(to remote: SocketAddress, from source: IPAddress?, through socket: Socket)
        -> Answer
    {
        let request = Self.request(to: remote, from: source, through: socket)
        do throws(SystemError) {
            try SystemCall.write(descriptor, request.bytes)
            let response = try SystemCall.read(descriptor, count: Self.maximumResponse)
            return Self.answer(response)
        } catch {
            // A response that is still to come must not answer the next request.
            var late = 0
            while late < 8, (try? SystemCall.read(descriptor, count: 1)) != nil { late += 1 }
            return .unknown
        }
    }

    /// The MTU of a link in bytes; nil if there is no such link.
    package func mtu(of interfaceIndex: UInt32) -> Int? {
        let mtu = clinux_link_mtu(descriptor.rawValue, interfaceIndex)
        return mtu < 0 ? nil : Int(mtu)
    }

    private static func request(
        to remote: SocketAddress, from source: IPAddress?, through socket: Socket
    ) -> NetlinkMessage {
        var message = NetlinkMessage(type: Int32(RTM_GETROUTE), flags: 0)
        let (family, bits): (Int32, UInt8) =
            switch remote.address.family {
            case .v4: (AF_INET, 32)
            case .v6: (AF_INET6, 128)
            }
        // rtmsg: family, lengths of destination and source, then nothing else.
        message.appendFixed(UInt8(family))
        message.appendFixed(bits)
        message.appendFixed(source == nil ? 0 : bits)
        for _ in 0..<5 { message.appendFixed(UInt8(0)) }
        message.appendFixed(UInt32(0))
        message.add(Int(RTA_DST.rawValue), remote.address)
        if let source { message.add(Int(RTA_SRC.rawValue), source) }
        if remote.scope != 0 { message.add(Int(RTA_OIF.rawValue), remote.scope) }
        if socket.mark != 0 { message.add(Int(RTA_MARK.rawValue), socket.mark) }
        // For policy rules with ports, and for the hash that chooses among next hops.
        message.add(Int(RTA_IP_PROTO.rawValue), UInt8(IPPROTO_UDP))
        message.add(Int(RTA_DPORT.rawValue), remote.port.bigEndian)
        if socket.port != 0 { message.add(Int(RTA_SPORT.rawValue), socket.port.bigEndian) }
        return message
    }

    /// The answer in a response.
    static func answer(_ response: [UInt8]) -> Answer {
        var parts = NetlinkParts(.messages, response[...])
        guard let part = parts.next() else { return .unknown }
        if let error = NetlinkSocket.error(of: part) { return .refused(error.code) }
        guard part.type == Int(RTM_NEWROUTE), part.payload.count >= 12 else { return .unknown }
        var route = Route(interfaceIndex: 0)
        for attribute in NetlinkParts(.attributes, part.payload.dropFirst(12)) {
            switch attribute.type {
            case Int(RTA_OIF.rawValue): route.interfaceIndex = attribute.load(UInt32.self) ?? 0
            case Int(RTA_GATEWAY.rawValue): route.gateway = address(attribute, at: 0)
            // A gateway of the other family: the family, then the address.
            case Int(RTA_VIA.rawValue): route.gateway = address(attribute, at: 2)
            default: break
            }
        }
        return route.interfaceIndex == 0 ? .unknown : .route(route)
    }

    /// The address from `offset` to the end of an attribute.
    private static func address(_ attribute: NetlinkParts.Part, at offset: Int) -> IPAddress? {
        switch attribute.payload.count - offset {
        case 4:
            attribute.load(UInt32.self, at: offset).map {
                .v4(IPv4Address(bits: UInt32(bigEndian: $0)))
            }
        case 16:
            if let high = attribute.load(UInt64.self, at: offset),
                let low = attribute.load(UInt64.self, at: offset + 8)
            {
                .v6(IPv6Address(high: UInt64(bigEndian: high), low: UInt64(bigEndian: low)))
            } else {
                nil
            }
        default: nil
        }
    }
}

extension NetlinkMessage {
    /// Appends an attribute with an address in network byte order.
    fileprivate mutating func add(_ type: Int, _ address: IPAddress) {
        switch address {
        case .v4(let address): add(type, address.bits.bigEndian)
        case .v6(let address):
            nest(type) { message in
                message.appendFixed(address.high.bigEndian)
                message.appendFixed(address.low.bigEndian)
            }
        }
    }
}
