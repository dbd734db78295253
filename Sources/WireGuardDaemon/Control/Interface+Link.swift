import LinuxIO
import Logging
import WireGuard

/// Follows the link: up or down, its MTU, and into other network namespaces.
extension Interface {
    func handleLinkEvents() {
        for event in link.events(of: tun) { perform(after: event) }
        if link.isOutOfSight, let event = link.refresh(tun) { perform(after: event) }
        device.setBroadcastAddresses(link.broadcastAddresses)
    }

    /// Looks once a second at a link that sends no events, and at whether its namespace forwards packets.
    func lookAtLink() {
        guard link.isOutOfSight || linkFollower.nextLook != nil else { return }
        let now = Clock.moment().instant
        guard linkFollower.isLookDue(isOutOfSight: link.isOutOfSight, now: now) else { return }
        handleLinkEvents()
        if linkFollower.mayFitSuperpackets { fitSuperpackets() }
    }

    private func perform(after event: LinkMonitor.Event) {
        perform(LinkFollower.steps(after: event, isUp: device.isUp))
    }

    func perform(_ steps: [LinkFollower.Step]) {
        for step in steps {
            switch step {
            case .setMTU(let mtu): device.setMTU(mtu)
            case .bringUp:
                configurator.bindIfNeeded()
                device.bringUp(at: Clock.moment())
            case .bringDown: device.bringDown()
            case .quietKernel: quietKernel()
            case .fitSuperpackets: fitSuperpackets()
            case .report:
                log.info(
                    device.isUp
                        ? "the interface is up, listening on port \(configurator.sockets.port)"
                        : "the interface is down")
            case .end(let reason): end(because: reason)
            }
        }
    }

    /// Limits super-packets to what one segmented send carries, if there are both.
    private func fitSuperpackets() {
        guard tun.capabilities.offloads.contains(.segments), settings.offloads.udpSegmentation
        else { return }
        do throws(SystemError) {
            try kernel.limitSuperpackets()
            linkFollower.noteSuperpackets([])
        } catch {
            linkFollower.noteSuperpackets([error])
            log.debug("cannot limit the size of super-packets: \(error)")
        }
    }

    func quietKernel() {
        for error in kernel.quietLink() { log.debug("cannot change a kernel setting: \(error)") }
    }
}
