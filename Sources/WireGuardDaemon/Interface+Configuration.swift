import LinuxIO
import Logging
import WireGuard

/// What a set changes outside of the device: the sockets.
extension Interface {
    /// Applies a set completely, or changes nothing and throws.
    func apply(
        _ change: borrowing ConfigurationChange, at now: Moment
    ) throws(ConfigurationError) {
        try device.check(change)
        do throws(SystemError) {
            try applySockets(change)
        } catch {
            log.error("a set was refused: \(error)")
            throw .refusedBySystem(code: error.code)
        }
        device.apply(change, at: now)
    }

    /// Binds what a new port asks for, and marks what a new mark asks for. The old sockets work on
    /// until the new ones are there.
    private func applySockets(_ change: borrowing ConfigurationChange) throws(SystemError) {
        let mark = change.firewallMark ?? device.firewallMark
        if let port = change.listenPort, port != configuredPort || needsBinding(port) {
            // From a port that was asked for to any: a new one. One that was any already stays.
            if port != sockets.first?.port {
                let new = try bind(port: port, mark: mark)
                use(new)
                configuredPort = port
                return
            } else {
                configuredPort = port
            }
        }
        guard mark != device.firewallMark else { return }
        try set(mark: mark)
    }

    private func needsBinding(_ port: UInt16) -> Bool {
        port != 0 && sockets.isEmpty
    }

    private func set(mark: UInt32) throws(SystemError) {
        do throws(SystemError) {
            for pair in sockets { try pair.set(mark: mark) }
        } catch {
            // Nothing may have changed.
            for pair in sockets { try? pair.set(mark: device.firewallMark) }
            throw error
        }
    }

    /// An interface that comes up without a port gets any.
    func bindIfNeeded() {
        guard sockets.isEmpty else { return }
        do throws(SystemError) {
            use(try bind(port: configuredPort, mark: device.firewallMark))
        } catch {
            log.error("cannot bind a UDP socket: \(error)")
        }
    }

    private func bind(port: UInt16, mark: UInt32) throws(SystemError) -> [UDPSocketPair] {
        // A port that we have just left is ours until the last worker has let go of it.
        var waits = 0
        while waits < 1000, workers.contains(where: \.mailbox.holdsOldSockets) {
            waits += 1
            Clock.pause(milliseconds: 1)
        }
        return try UDPSocketPair.bind(
            port: port, count: workers.count,
            options: UDPSocket.Options(
                mark: mark, receiveOffload: settings.offloads.udpReceive ? .enabled : .disabled))
    }

    private func use(_ new: [UDPSocketPair]) {
        if sockets.isEmpty {
            if new.first?.v6 == nil { log.info("this system has no IPv6: using IPv4 alone") }
            if new.first?.v4 == nil { log.info("this system has no IPv4: using IPv6 alone") }
        }
        sockets = new
        for (worker, pair) in zip(workers, new) { worker.mailbox.send(pair) }
        device.setListenPort(new.first?.port ?? 0)
    }
}
