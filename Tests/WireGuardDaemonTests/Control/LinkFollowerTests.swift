import Testing
import WireGuard

@testable import LinuxIO
@testable import WireGuardDaemon

@Suite("Link follower")
struct LinkFollowerTests {
    private func link(isUp: Bool, mtu: Int = 1420) throws -> LinkState {
        // An ifinfomsg with index 3 and IFF_UP or not, then IFLA_MTU.
        let header: [UInt8] = [0, 0, 0, 0, 3, 0, 0, 0, isUp ? 1 : 0, 0, 0, 0, 0, 0, 0, 0]
        let attribute: [UInt8] = [8, 0, 4, 0, UInt8(mtu & 0xFF), UInt8(mtu >> 8), 0, 0]
        return try #require(LinkState((header + attribute)[...], namespace: nil))
    }

    @Test("a link that comes up brings the device up with its MTU")
    func up() throws {
        let event = LinkMonitor.Event.changed(try link(isUp: true, mtu: 1280))
        #expect(
            LinkFollower.steps(after: event, isUp: false) == [
                .setMTU(1280), .bringUp, .fitSuperpackets, .report,
            ])
    }

    @Test("a link that goes down brings the device down")
    func down() throws {
        let event = LinkMonitor.Event.changed(try link(isUp: false))
        #expect(
            LinkFollower.steps(after: event, isUp: true) == [
                .setMTU(1420), .bringDown, .fitSuperpackets, .report,
            ])
    }

    @Test("another MTU is followed and nothing is reported", arguments: [false, true])
    func mtu(isUp: Bool) throws {
        let event = LinkMonitor.Event.changed(try link(isUp: isUp, mtu: 9000))
        #expect(
            LinkFollower.steps(after: event, isUp: isUp) == [.setMTU(9000), .fitSuperpackets])
    }

    @Test("a move quiets the kernel again, before the device comes up")
    func moved() throws {
        let event = LinkMonitor.Event.moved(try link(isUp: true))
        #expect(
            LinkFollower.steps(after: event, isUp: false) == [
                .quietKernel, .setMTU(1420), .bringUp, .fitSuperpackets, .report,
            ])
    }

    @Test("a link that is deleted ends the daemon")
    func removed() {
        #expect(
            LinkFollower.steps(after: .removed, isUp: true) == [.end(.interfaceDeleted)])
    }

    @Test("a change of forwarding limits super-packets again")
    func forwarding() {
        #expect(LinkFollower.steps(after: .forwarding, isUp: true) == [.fitSuperpackets])
    }

    @Test("a link that sends no events is looked at once a second")
    func looks() {
        var follower = LinkFollower()
        var looks: [UInt64] = []
        for milliseconds in stride(from: UInt64(0), to: 3500, by: 100)
        where follower.isLookDue(isOutOfSight: true, now: at(milliseconds)) {
            looks.append(milliseconds)
        }
        #expect(looks == [0, 1000, 2000, 3000])
        #expect(follower.nextLook == at(4000))
    }

    @Test("a link that sends events is not looked at")
    func noLooks() {
        var follower = LinkFollower()
        let looks: [(isOutOfSight: Bool, milliseconds: UInt64)] = [
            (false, 0), (true, 0), (false, 5000), (true, 5000),
        ]
        let due = looks.map {
            follower.isLookDue(isOutOfSight: $0.isOutOfSight, now: at($0.milliseconds))
        }
        #expect(due == [false, true, false, true])
        _ = follower.isLookDue(isOutOfSight: false, now: at(5000))
        #expect(follower.nextLook == nil)
    }

    @Test("super-packets are fitted again only if no error is permanent")
    func superpackets() {
        // ENODEV passes, EPERM does not.
        let (passing, permanent) = (
            SystemError(call: "sendto", code: 19), SystemError(call: "setns", code: 1)
        )
        for (errors, mayFit) in [
            ([], true), ([passing], true), ([permanent], false), ([passing, permanent], false),
        ] {
            var follower = LinkFollower()
            #expect(!follower.mayFitSuperpackets)
            follower.noteSuperpackets(errors)
            #expect(follower.mayFitSuperpackets == mayFit)
        }
    }

    @Test("each reason to end has a description")
    func endReasons() {
        #expect("\(EndReason.signal(15))" == "received signal 15")
        #expect("\(EndReason.interfaceDeleted)" == "the interface was deleted")
        #expect("\(EndReason.socketDeleted)" == "the configuration socket was deleted")
    }
}
