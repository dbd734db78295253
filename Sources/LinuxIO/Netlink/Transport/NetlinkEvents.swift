import CLinux
import Glibc

/// A NETLINK_ROUTE socket for multicast groups: the kernel sends it a datagram for each change.
struct NetlinkEvents: ~Copyable, Sendable {
    /// A datagram from the kernel.
    struct Datagram {
        /// Its messages.
        var bytes: [UInt8] = []
        /// The identifier of the network namespace that it is from, nil for that of the socket.
        var namespace: Int32?
        /// True if earlier datagrams were lost or if this one is incomplete.
        var isOverrun = false
    }

    /// Readable when datagrams wait. Non-blocking.
    let descriptor: FileDescriptor

    private static let maximumDatagram = 32_768

    /// Subscribes to groups (a mask of RTMGRP_*) of the network namespace of the calling thread.
    init(groups: UInt32) throws(SystemError) {
        let fd = try SystemCall.socket(AF_NETLINK, Int32(clinux_RAW), NETLINK_ROUTE)
        try fd.setNonBlocking()
        var name = sockaddr_nl()
        name.nl_family = sa_family_t(AF_NETLINK)
        name.nl_groups = groups
        let raw = fd.rawValue
        try SystemCall.call("bind") {
            unsafe withUnsafePointer(to: &name) { name in
                unsafe name.withMemoryRebound(to: sockaddr.self, capacity: 1) { name in
                    unsafe bind(raw, name, socklen_t(MemoryLayout<sockaddr_nl>.size))
                }
            }
        }
        descriptor = fd
    }

    /// Subscribes to the events of other network namespaces too, if CAP_NET_BROADCAST allows it.
    ///
    /// - Returns: whether it does.
    func includeAllNamespaces() -> Bool {
        (try? SystemCall.setsockopt(
            descriptor, Int32(clinux_SOL_NETLINK), Int32(NETLINK_LISTEN_ALL_NSID), 1)) != nil
    }

    /// Receives the next datagram, nil if none waits.
    func receive() -> Datagram? {
        var datagram = Datagram(bytes: [UInt8](repeating: 0, count: Self.maximumDatagram))
        let raw = descriptor.rawValue
        var control = [UInt8](repeating: 0, count: 64)
        let result: Int = unsafe datagram.bytes.withUnsafeMutableBytes { bytes in
            unsafe control.withUnsafeMutableBytes { control in
                var vector = unsafe iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
                return unsafe withUnsafeMutablePointer(to: &vector) { vector in
                    var message = unsafe msghdr()
                    unsafe message.msg_iov = vector
                    unsafe message.msg_iovlen = 1
                    unsafe message.msg_control = control.baseAddress
                    unsafe message.msg_controllen = control.count
                    let length = unsafe recvmsg(raw, &message, Int32(MSG_DONTWAIT))
                    if length >= 0 {
                        datagram.namespace = unsafe Self.namespace(&message)
                        datagram.isOverrun = unsafe message.msg_flags & Int32(MSG_TRUNC) != 0
                    }
                    return length >= 0 ? length : -Int(errno)
                }
            }
        }
        if result == -Int(ENOBUFS) {
            datagram.isOverrun = true
            return datagram
        }
        guard result >= 0 else { return nil }
        datagram.bytes.removeSubrange(result...)
        return datagram
    }

    /// The namespace in the control messages; nil for that of the socket.
    private static func namespace(_ message: inout msghdr) -> Int32? {
        var header = unsafe clinux_cmsg_first(&message)
        while let present = unsafe header {
            if unsafe present.pointee.cmsg_level == Int32(clinux_SOL_NETLINK)
                && present.pointee.cmsg_type == Int32(NETLINK_LISTEN_ALL_NSID)
            {
                return unsafe clinux_cmsg_data(present).load(as: Int32.self)
            }
            unsafe header = clinux_cmsg_next(&message, present)
        }
        return nil
    }
}
