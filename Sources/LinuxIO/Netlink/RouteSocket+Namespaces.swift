import CLinux
import Glibc

extension RouteSocket {
    /// The identifier of another network namespace in the namespace of the socket. Assigns one if it has
    /// none, which needs CAP_NET_ADMIN.
    func identifier(of namespace: borrowing FileDescriptor) throws(SystemError) -> Int32 {
        if let known = try assignedIdentifier(of: namespace) { return known }
        var message = Self.namespaceMessage(Int32(RTM_NEWNSID), flags: NLM_F_ACK, namespace)
        // The kernel chooses the number.
        message.add(Int(NETNSA_NSID), Int32(-1))
        try socket.request(message)
        guard let assigned = try assignedIdentifier(of: namespace) else {
            throw SystemError(call: "RTM_NEWNSID", code: ENOENT)
        }
        return assigned
    }

    private func assignedIdentifier(of namespace: borrowing FileDescriptor) throws(SystemError)
        -> Int32?
    {
        let response = try socket.request(
            Self.namespaceMessage(Int32(RTM_GETNSID), flags: 0, namespace))
        guard let response, response.payload.count >= 4 else { return nil }
        // rtgenmsg is one byte, padded to four.
        for attribute in NetlinkParts(.attributes, response.payload.dropFirst(4))
        where attribute.type == Int(NETNSA_NSID) {
            return attribute.load(Int32.self).flatMap { $0 < 0 ? nil : $0 }
        }
        return nil
    }

    private static func namespaceMessage(
        _ type: Int32, flags: Int32, _ namespace: borrowing FileDescriptor
    ) -> NetlinkMessage {
        var message = NetlinkMessage(type: type, flags: flags)
        // rtgenmsg with its padding.
        message.appendFixed(UInt32(AF_UNSPEC))
        message.add(Int(NETNSA_FD), UInt32(bitPattern: namespace.rawValue))
        return message
    }
}
