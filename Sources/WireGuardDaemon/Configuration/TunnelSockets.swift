import LinuxIO

/// The UDP sockets of the interface, one pair per worker, and the port that was asked for.
struct TunnelSockets {
    /// Empty until a port is bound.
    private(set) var pairs: [UDPSocketPair] = []
    /// 0 for any port.
    private(set) var requestedPort: UInt16 = 0

    /// The port that the sockets are bound to; 0 if there are none.
    var port: UInt16 { pairs.first?.port ?? 0 }

    /// Applies the port and the mark of a `set`. On an error nothing has changed: the old sockets stay
    /// until all new ones are bound.
    ///
    /// - Parameters:
    ///   - port: nil keeps the port.
    ///   - mark: nil keeps the mark.
    ///   - oldMark: the mark of the present sockets.
    /// - Returns: whether `pairs` are new.
    mutating func apply(
        port: UInt16?, mark: UInt32?, oldMark: UInt32, using provider: some SocketProvider
    ) throws(SystemError) -> Bool {
        let newMark = mark ?? oldMark
        if let port, needsBinding(port) {
            pairs = try provider.bind(port: port, mark: newMark)
            requestedPort = port
            return true
        }
        if newMark != oldMark { try set(newMark, insteadOf: oldMark, using: provider) }
        if let port { requestedPort = port }
        return false
    }

    /// Binds the requested port unless there are sockets. Returns whether `pairs` are new.
    mutating func bindIfNeeded(mark: UInt32, using provider: some SocketProvider)
        throws(SystemError)
        -> Bool
    {
        guard pairs.isEmpty else { return false }
        pairs = try provider.bind(port: requestedPort, mark: mark)
        return true
    }

    /// Whether a request for `port` needs new sockets. A request for the port in use keeps the sockets; a
    /// request for any port (0) rebinds if the last request named a port.
    private func needsBinding(_ port: UInt16) -> Bool {
        guard port != requestedPort || (port != 0 && pairs.isEmpty) else { return false }
        return port != pairs.first?.port
    }

    private func set(
        _ mark: UInt32, insteadOf oldMark: UInt32, using provider: some SocketProvider
    ) throws(SystemError) {
        do throws(SystemError) {
            for pair in pairs { try provider.set(mark: mark, of: pair) }
        } catch {
            for pair in pairs { try? provider.set(mark: oldMark, of: pair) }
            throw error
        }
    }
}
