import LinuxIO
import Logging
import WireGuard

/// Serves the clients of the configuration socket.
extension Interface {
    /// How many clients are accepted per turn, so that connected clients are served in between.
    private static var clientsPerTurn: Int { 16 }

    func acceptClients() {
        let now = Clock.moment().instant
        for _ in 0..<Self.clientsPerTurn {
            let connection: UnixConnection
            do throws(SystemError) {
                guard let accepted = try listener.accept() else { return }
                connection = accepted
            } catch {
                // Out of file descriptors: make room for the client that waits. If no client of ours
                // holds one, wait, as the listener stays ready.
                if !uapi.evictIdlest() { Clock.pause(milliseconds: 10) }
                return
            }
            let client = uapi.admit(connection, now: now)
            do throws(SystemError) {
                try watch(client.connection.descriptor, .client(client.id))
            } catch {
                log.error("cannot serve a client of the configuration socket: \(error)")
                uapi.close(client.id)
            }
        }
    }

    func serve(_ id: StreamClientID) {
        let now = Clock.moment()
        uapi.resume(id, now: now.instant)
        while let request = uapi.nextRequest(of: id, now: now.instant) {
            let reply = configurator.answer(request, at: now)
            uapi.send(reply.text, to: id, closing: reply.closes, now: now.instant)
        }
        guard let interest = uapi.takeInterestChange(of: id), let client = uapi.client(id) else {
            return
        }
        try? epoll.modify(
            client.connection.descriptor, token: ControlEvent.client(id).token, for: interest)
    }
}
