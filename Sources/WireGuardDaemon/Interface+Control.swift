import LinuxIO
import Logging
import WireGuard

/// The control thread: waits for everything that is not a packet.
extension Interface {
    private enum Token {
        static let signal: UInt64 = 0
        static let timer: UInt64 = 1
        static let wakeUp: UInt64 = 2
        static let link: UInt64 = 3
        static let routes: UInt64 = 4
        static let listener: UInt64 = 5
        static let socketFile: UInt64 = 6
        /// Clients of the configuration socket, by their number.
        static let firstClient: UInt64 = 1 << 32
    }

    /// Works until a signal, the deletion of the interface or that of the socket ends it.
    package func run() throws(SystemError) {
        defer { end() }
        try epoll.add(signals.descriptor, token: Token.signal)
        try epoll.add(timer.descriptor, token: Token.timer)
        try epoll.add(wakeUp.event.descriptor, token: Token.wakeUp)
        try epoll.add(link.descriptor, token: Token.link)
        try epoll.add(routes.descriptor, token: Token.routes)
        try epoll.add(uapi.listener.descriptor, token: Token.listener)
        switch socketWatch {
        case .some(let watch): try epoll.add(watch.descriptor, token: Token.socketFile)
        case .none: break
        }
        // The workers run, and keep what they were started with: a flood of handshakes is to take little
        // from packets, and where these take all there is, sessions must still be renewed.
        Thread.giveWay(by: Self.niceness)
        quietKernel()
        follow(link.state)
        device.setBroadcastAddresses(link.broadcastAddresses)

        var events = EpollEvents(capacity: 64)
        while !isOver {
            let hasMore = work()
            let count = try epoll.wait(into: &events, milliseconds: hasMore ? 0 : nil)
            for index in 0..<count where !isOver {
                handle(events.token(index), hasMore: hasMore)
            }
        }
    }

    /// A third of the weight of a worker. At a tenth (10), renewing the sessions of 100 000 peers fell
    /// behind on a busy machine, and pings took no shorter.
    private static var niceness: Int32 { 5 }

    private func handle(_ token: UInt64, hasMore: Bool) {
        switch token {
        case Token.signal:
            guard let signal = signals.next() else { return }
            finish("signal \(signal)")
        case Token.timer: timer.drain()
        case Token.wakeUp:
            if wakeUpRate.note(at: Clock.moment().instant), !hasMore {
                Clock.pause(milliseconds: WakeUpRate.pauseMilliseconds)
            }
            wakeUp.event.drain()
            if workers.contains(where: \.mailbox.hasEnded) { finish("its interface was deleted") }
        case Token.link: handleLinkEvents()
        case Token.routes:
            if routes.drain() { device.clearSources() }
        case Token.listener: acceptClient()
        case Token.socketFile:
            if socketWatch?.drain() == false { finish("its socket was deleted") }
        default: serve(Int(token - Token.firstClient))
        }
    }

    private func finish(_ why: String) {
        log.info("ending: \(why)")
        isOver = true
    }

    // MARK: Device

    /// Lets the device do what is due, sends what came of it, and sets the alarm for the next time.
    private func work() -> Bool {
        // A message or a packet may be here before the word that the interface is up.
        if !device.isUp { handleLinkEvents() }
        followOutOfSight()
        let now = Clock.moment()
        let hasMore = device.handleWork(at: now)
        sendDatagrams(at: now.instant)
        logEvents()
        uapi.putOutStalled(now: now.instant)
        let next = [device.nextDeadline, uapi.nextDeadline, nextLook].compactMap(\.self).min()
        // What is due already needs no alarm: we are back at once.
        if !hasMore, next != alarm {
            do throws(SystemError) {
                try timer.set(deadline: next?.nanoseconds)
                alarm = next
            } catch {
                log.error("cannot set the timer: \(error)")
            }
        }
        return hasMore
    }

    private func sendDatagrams(at now: Instant) {
        let datagrams = device.takeDatagrams()
        guard !datagrams.isEmpty else { return }
        // No port could be bound.
        guard let sockets = sockets.first else {
            return device.countRefusedSends(datagrams.count, at: now)
        }
        var buffer = outboxBuffer.mutableBytes
        let outcome = outbox.send(
            datagrams, through: sockets, usesSegmentation: settings.offloads.udpSegmentation,
            by: &buffer, now: now)
        for peer in outcome.staleSources { device.clearSource(of: peer) }
        device.countRefusedSends(outcome.dropped, at: now)
    }

    private func logEvents() {
        guard device.isTracing else { return }
        for event in device.takeEvents() { log.debug("\(event.line)") }
    }

    // MARK: Link

    private func handleLinkEvents() {
        for event in link.events(of: tun) { handle(event) }
        if link.isOutOfSight, let event = link.refresh(tun) { handle(event) }
        device.setBroadcastAddresses(link.broadcastAddresses)
    }

    /// Looks after a link from which no events arrive, and whether its namespace forwards packets, once
    /// a second.
    private func followOutOfSight() {
        guard link.isOutOfSight else { return nextLook = nil }
        let now = Clock.moment().instant
        if let nextLook, now < nextLook { return }
        handleLinkEvents()
        // Where that needs rights that we have not, we shall not have them in a second.
        if canFitSuperpackets { fitSuperpackets() }
        nextLook = now + .seconds(1)
    }

    private func handle(_ event: LinkMonitor.Event) {
        switch event {
        case .changed(let state): follow(state)
        case .moved(let state):
            quietKernel()
            follow(state)
        case .removed: finish("its interface was deleted")
        case .forwarding: fitSuperpackets()
        }
    }

    /// Brings the device to where the link is: up or down, and its MTU.
    private func follow(_ state: LinkState) {
        device.setMTU(state.mtu)
        let turns = state.isUp != device.isUp
        if turns {
            if state.isUp { bindIfNeeded() }
            state.isUp ? device.bringUp(at: Clock.moment()) : device.bringDown()
        }
        // The kernel may take its time over this, and packets wait.
        fitSuperpackets()
        guard turns else { return }
        log.info(
            state.isUp
                ? "the interface is up, listening on port \(sockets.first?.port ?? 0)"
                : "the interface is down")
    }

    /// Of use only where superpackets are cut and sent as one.
    private func fitSuperpackets() {
        guard tun.capabilities.offloads.contains(.segments), settings.offloads.udpSegmentation
        else { return }
        let errors = tun.fitSuperpackets()
        canFitSuperpackets = errors.allSatisfy(\.isPassing)
        for error in errors {
            log.debug("the size of superpackets cannot be fitted, and stays: \(error)")
        }
    }

    private func quietKernel() {
        for error in tun.quietKernel() {
            log.debug("a setting of the kernel cannot be changed, and stays: \(error)")
        }
    }

    // MARK: Configuration socket

    private func acceptClient() {
        let now = Clock.moment().instant
        // A few at a time: those that are here already are served before others take their place.
        for _ in 0..<16 {
            guard let client = uapi.accept(now: now) else { return }
            do throws(SystemError) {
                try epoll.add(
                    client.connection.descriptor,
                    token: Token.firstClient + UInt64(client.number))
            } catch {
                log.error("cannot serve a client of the socket: \(error)")
                uapi.close(client.number)
            }
        }
    }

    private func serve(_ number: Int) {
        guard let client = uapi.client(number) else { return }
        let now = Clock.moment()
        let wasWriting = client.isWriting
        uapi.serve(client, now: now.instant) { request, writer in
            answer(request, to: &writer, at: now)
        }
        guard uapi.client(number) != nil, client.isWriting != wasWriting else { return }
        // While an answer waits to be read, questions wait too.
        try? epoll.modify(
            client.connection.descriptor, token: Token.firstClient + UInt64(number),
            for: client.isWriting ? .writable : .readable)
    }

    private func answer(
        _ request: consuming UAPIRequest, to writer: inout UAPIWriter, at now: Moment
    ) -> UAPIServer.Sequel {
        switch consume request {
        case .get: device.write(to: &writer)
        case .set(let change):
            do throws(ConfigurationError) {
                try apply(change, at: now)
                writer.finish()
            } catch {
                writer.finish(error, of: .set)
            }
        case .failed(let error, let kind):
            writer.finish(error, of: kind)
            // The parser reads nothing more of this client.
            if case .lineTooLong = error { return .close }
        }
        return .goOn
    }
}

extension Clock {
    /// Both clocks, as the device wants them.
    static func moment() -> Moment {
        let (seconds, nanoseconds) = realtime()
        return Moment(
            instant: Instant(nanoseconds: boottime()),
            wall: WallTime(seconds: seconds, nanoseconds: nanoseconds))
    }
}
