import LinuxIO

/// A socket that a worker and the control thread share; it closes with its last owner.
final class SharedSocket: Sendable {
    let socket: UDPSocket

    init(_ socket: consuming UDPSocket) {
        self.socket = socket
    }
}

/// The UDP sockets of one worker, both families on one port. Shared with the control thread, which
/// sends handshakes from those of the first worker.
struct Sockets: Sendable {
    /// nil where the kernel has no IPv4.
    let v4: SharedSocket?
    /// nil where the kernel has no IPv6.
    let v6: SharedSocket?

    var port: UInt16 {
        v4?.socket.port ?? v6?.socket.port ?? 0
    }

    /// Sets the firewall mark of both.
    func set(mark: UInt32) throws(SystemError) {
        try v4?.socket.set(mark: mark)
        try v6?.socket.set(mark: mark)
    }

    /// Binds a pair for each worker to one port.
    ///
    /// - Parameter port: 0 for any that is free in both families.
    static func bind(
        port: UInt16, count: Int, options: UDPSocket.Options
    ) throws(SystemError) -> [Sockets] {
        var attempts = port == 0 ? 100 : 1
        while true {
            attempts -= 1
            do throws(SystemError) {
                let first = try bindPair(port: port, sharing: .first, options: options)
                var all = [first]
                while all.count < count {
                    all.append(
                        try bindPair(port: first.port, sharing: .further, options: options))
                }
                return all
            } catch {
                // A free port of one family may be taken in the other.
                guard error.isAddressInUse, attempts > 0 else { throw error }
            }
        }
    }

    private static func bindPair(
        port: UInt16, sharing: UDPSocket.Sharing, options: UDPSocket.Options
    ) throws(SystemError) -> Sockets {
        let v4 = try bindIfSupported(.v4, port: port, sharing: sharing, options: options)
        let bound = v4?.socket.port ?? port
        let v6 = try bindIfSupported(.v6, port: bound, sharing: sharing, options: options)
        if v4 == nil, v6 == nil { throw .addressFamilyNotSupported }
        return Sockets(v4: v4, v6: v6)
    }

    private static func bindIfSupported(
        _ family: AddressFamily, port: UInt16, sharing: UDPSocket.Sharing,
        options: UDPSocket.Options
    ) throws(SystemError) -> SharedSocket? {
        do throws(SystemError) {
            return SharedSocket(
                try UDPSocket(family, port: port, sharing: sharing, options: options))
        } catch {
            if error.isFamilyMissing { return nil }
            throw error
        }
    }
}
