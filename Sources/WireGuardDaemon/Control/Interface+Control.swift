import Engine
import LinuxIO
import Logging
import WireGuard

/// The control thread's loop: waits for everything except packets.
extension Interface {
    /// Works until a signal, or the deletion of the interface or of its socket, ends it.
    package func run() throws(SystemError) {
        defer { end() }
        try watchDescriptors()
        // The workers have started and keep their priority. A flood of handshakes must not slow packets
        // down much, and packets that use the whole processor must not prevent new sessions.
        Thread.lowerPriority(by: Self.niceness)
        quietKernel()
        perform(LinkFollower.steps(to: link.state, isUp: device.isUp))
        device.setBroadcastAddresses(link.broadcastAddresses)

        var events = EpollEvents(capacity: 64)
        while endReason == nil {
            let hasMore = work()
            let count = try epoll.wait(into: &events, milliseconds: hasMore ? 0 : nil)
            for index in 0..<count where endReason == nil {
                guard let event = ControlEvent(token: events.token(index)) else { continue }
                handle(event, hasMore: hasMore)
            }
        }
    }

    /// Added to the nice value of this thread after the workers' start: a third of a worker's weight.
    /// With a tenth (10), renewing the sessions of 100 000 peers fell behind on a busy machine, and pings
    /// were no faster.
    private static var niceness: Int32 { 5 }

    private func watchDescriptors() throws(SystemError) {
        try watch(signals.descriptor, .signal)
        try watch(alarm.descriptor, .timer)
        try watch(wakeUp.event.descriptor, .wakeUp)
        try watch(link.descriptor, .link)
        switch routes {
        case .some(let routes): try watch(routes.descriptor, .routes)
        case .none: break
        }
        try watch(listener.descriptor, .listener)
        switch socketWatch {
        case .some(let watched): try watch(watched.descriptor, .socketFile)
        case .none: break
        }
    }

    func watch(_ descriptor: borrowing FileDescriptor, _ event: ControlEvent) throws(SystemError) {
        try epoll.add(descriptor, token: event.token)
    }

    private func handle(_ event: ControlEvent, hasMore: Bool) {
        switch event {
        case .signal:
            if let signal = signals.next() { end(because: .signal(signal)) }
        case .timer: alarm.acknowledge()
        case .wakeUp:
            if wakeUpRate.note(at: Clock.moment().instant), !hasMore {
                Clock.pause(milliseconds: WakeUpRate.pauseMilliseconds)
            }
            wakeUp.event.drain()
            if workers.contains(where: \.hasEnded) { end(because: .interfaceDeleted) }
        case .link: handleLinkEvents()
        case .routes:
            if routes?.drain() == true { sourceFollower.noteEvent() }
        case .listener: acceptClients()
        case .socketFile:
            if socketWatch?.drain() == false { end(because: .socketDeleted) }
        case .client(let id): serve(id)
        }
    }

    func end(because reason: EndReason) {
        log.info("ending: \(reason)")
        endReason = reason
    }

    // MARK: Device

    /// Lets the device do what is due, sends its datagrams, and sets the alarm for the next deadline.
    ///
    /// - Returns: whether the device has more to do at once.
    private func work() -> Bool {
        // A message or a packet may arrive before the event that the interface is up.
        if !device.isUp { handleLinkEvents() }
        lookAtLink()
        let now = Clock.moment()
        if sourceFollower.isCheckDue(now: now.instant, peers: device.peerCount) {
            device.recheckSources()
        }
        let hasMore = device.handleWork(at: now)
        checkSources()
        sendDatagrams(at: now.instant)
        logTrace()
        uapi.evictStalled(now: now.instant)
        // With more to do, the next turn comes at once.
        if !hasMore { setAlarm() }
        return hasMore
    }

    private func setAlarm() {
        let deadlines = [
            device.nextDeadline, uapi.nextDeadline, linkFollower.nextLook,
            sourceFollower.nextCheck,
        ]
        do throws(SystemError) {
            try alarm.set(deadlines.compactMap(\.self).min())
        } catch {
            log.error("cannot set the timer: \(error)")
        }
    }

    private func sendDatagrams(at now: ObservedInstant) {
        var datagrams = device.takeDatagrams()
        guard !datagrams.isEmpty else { return }
        // Empty if no port could be bound.
        guard let sockets = configurator.sockets.pairs.first else {
            return device.countRefusedSends(datagrams.count, at: now)
        }
        checkSources(of: &datagrams)
        let outcome = sender.send(
            datagrams, through: sockets, usesSegmentation: settings.offloads.udpSegmentation,
            now: now)
        for peer in outcome.staleSources { device.forgetSource(of: peer) }
        device.countRefusedSends(outcome.dropped, at: now)
    }

    private func logTrace() {
        guard device.isTracing else { return }
        for event in device.takeEvents() { log.debug("\(event.line)") }
    }
}

extension Clock {
    /// The time of both clocks.
    static func moment() -> Moment {
        let (seconds, nanoseconds) = realtime()
        return Moment(
            instant: ObservedInstant(nanoseconds: boottime()),
            wall: WallTime(seconds: seconds, nanoseconds: nanoseconds))
    }
}
