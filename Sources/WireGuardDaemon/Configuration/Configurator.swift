import LinuxIO
import Logging
import WireGuard

/// Answers configuration requests: changes the device and its sockets, or describes them.
final class Configurator {
    let device: Device
    private(set) var sockets = TunnelSockets()
    private let provider: any SocketProvider
    private let log: Logger

    init(device: Device, provider: some SocketProvider, log: Logger) {
        self.device = device
        self.provider = provider
        self.log = log
    }

    /// An answer, and whether to close the connection after it.
    struct Reply: ~Copyable {
        var text = UAPIWriter()
        var closes = false
    }

    /// Answers one request.
    func answer(_ request: consuming UAPIRequest, at now: Moment) -> Reply {
        var reply = Reply()
        switch consume request {
        case .get: device.write(to: &reply.text)
        case .set(let change):
            do throws(ConfigurationError) {
                try apply(change, at: now)
                reply.text.finish()
            } catch {
                reply.text.finish(error, of: .set)
            }
        case .failed(let error, let kind):
            reply.text.finish(error, of: kind)
            // The parser reads nothing more from this client.
            if case .lineTooLong = error { reply.closes = true }
        }
        return reply
    }

    /// Applies a `set` completely, or changes nothing and throws.
    func apply(
        _ change: borrowing ConfigurationChange, at now: Moment
    ) throws(ConfigurationError) {
        try device.check(change)
        do throws(SystemError) {
            let isFirst = sockets.pairs.isEmpty
            let areNew = try sockets.apply(
                port: change.listenPort, mark: change.firewallMark, oldMark: device.firewallMark,
                using: provider)
            if areNew { deliverSockets(areFirst: isFirst) }
        } catch {
            log.error("cannot apply a configuration: \(error)")
            throw .refusedBySystem(code: error.code)
        }
        device.apply(change, at: now)
        if change.wipesSessions {
            log.info("wiped all sessions: a client of the socket asked for it")
        }
    }

    /// Binds sockets if there are none: an interface that comes up without a port uses any free one.
    func bindIfNeeded() {
        do throws(SystemError) {
            let areNew = try sockets.bindIfNeeded(mark: device.firewallMark, using: provider)
            if areNew { deliverSockets(areFirst: true) }
        } catch {
            log.error("cannot bind a UDP socket: \(error)")
        }
    }

    private func deliverSockets(areFirst: Bool) {
        if areFirst, let first = sockets.pairs.first {
            if first.v6 == nil { log.info("this host has no IPv6: using IPv4 only") }
            if first.v4 == nil { log.info("this host has no IPv4: using IPv6 only") }
        }
        provider.deliver(sockets.pairs)
        device.setListenPort(sockets.port)
    }
}
