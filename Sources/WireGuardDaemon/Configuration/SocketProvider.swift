import LinuxIO

/// Binds UDP sockets and passes them to the workers, for ``Configurator``.
protocol SocketProvider {
    /// Binds a pair of sockets per worker to one port, 0 for any.
    func bind(port: UInt16, mark: UInt32) throws(SystemError) -> [UDPSocketPair]

    /// Sets the firewall mark of a pair.
    func set(mark: UInt32, of pair: UDPSocketPair) throws(SystemError)

    /// Hands each worker its pair.
    func deliver(_ pairs: [UDPSocketPair])
}
