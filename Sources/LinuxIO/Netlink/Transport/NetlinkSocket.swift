import CLinux
import Glibc

/// A NETLINK_ROUTE socket for requests, in the network namespace of the thread that opens it.
///
/// A request blocks until its response arrives, for at most five seconds (EAGAIN).
struct NetlinkSocket: ~Copyable {
    private let descriptor: FileDescriptor

    private static let timeoutSeconds = 5
    private static let maximumResponse = 65_536

    /// Opens a socket.
    init() throws(SystemError) {
        let fd = try SystemCall.socket(AF_NETLINK, Int32(clinux_RAW), NETLINK_ROUTE)
        var limit = timeval(tv_sec: Self.timeoutSeconds, tv_usec: 0)
        let raw = fd.rawValue
        try SystemCall.call("setsockopt") {
            unsafe setsockopt(
                raw, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        }
        descriptor = fd
    }

    /// Sends a request that has one response.
    ///
    /// - Returns: the response, nil if it is an acknowledgement.
    @discardableResult
    func request(_ message: NetlinkMessage) throws(SystemError) -> NetlinkParts.Part? {
        discardLateResponses()
        try SystemCall.write(descriptor, message.bytes)
        let response = try SystemCall.read(descriptor, count: Self.maximumResponse)
        var parts = NetlinkParts(.messages, response[...])
        guard let part = parts.next() else { throw SystemError(call: "netlink", code: EPROTO) }
        if let error = Self.error(of: part) { throw error }
        return part.type == Int(NLMSG_ERROR) ? nil : part
    }

    /// Sends a request that is answered by a list of messages of one type (NLM_F_DUMP). From then on
    /// the socket is strict.
    ///
    /// - Parameter call: the name of the request in the error EPROTO, for messages of another type.
    /// - Returns: the payloads of the messages.
    consuming func dump(_ message: NetlinkMessage, expecting type: Int32, call: StaticString)
        throws(SystemError) -> [ArraySlice<UInt8>]
    {
        // Otherwise the kernel ignores which link and which namespace the request names.
        try SystemCall.setsockopt(
            descriptor, Int32(clinux_SOL_NETLINK), Int32(NETLINK_GET_STRICT_CHK), 1)
        try SystemCall.write(descriptor, message.bytes)
        var payloads: [ArraySlice<UInt8>] = []
        while true {
            let response = try SystemCall.read(descriptor, count: Self.maximumResponse)
            for part in NetlinkParts(.messages, response[...]) {
                switch part.type {
                case Int(type): payloads.append(part.payload)
                case Int(NLMSG_DONE): return payloads
                default: throw SystemError(call: call, code: EPROTO)
                }
            }
        }
    }

    /// The error that an NLMSG_ERROR reports; nil for an acknowledgement and for other messages.
    static func error(of part: NetlinkParts.Part) -> SystemError? {
        guard part.type == Int(NLMSG_ERROR) else { return nil }
        let code = part.load(Int32.self) ?? -EPROTO
        if code == 0 { return nil }
        return SystemError(call: "netlink", code: code == .min ? EPROTO : abs(code))
    }

    /// Discards responses to requests that timed out.
    private func discardLateResponses() {
        var byte: UInt8 = 0
        while unsafe recv(descriptor.rawValue, &byte, 1, Int32(MSG_DONTWAIT)) >= 0 {}
    }
}
