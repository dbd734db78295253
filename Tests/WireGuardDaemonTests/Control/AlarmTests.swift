import Glibc
import LinuxIO
import Testing
import WireGuard

@testable import WireGuardDaemon

@Suite("Alarm")
struct AlarmTests {
    /// Whether the alarm goes off within `milliseconds`.
    private func goesOff(_ alarm: borrowing Alarm, within milliseconds: Int32) -> Bool {
        var request = pollfd(
            fd: alarm.descriptor.rawValue, events: Int16(POLLIN), revents: 0)
        return unsafe poll(&request, 1, milliseconds) == 1
    }

    private var now: ObservedInstant { ObservedInstant(nanoseconds: Clock.boottime()) }

    @Test("it goes off at its deadline, and once")
    func deadline() throws {
        var alarm = try Alarm()
        try alarm.set(now + .milliseconds(5))
        let wentOff = goesOff(alarm, within: 5000)
        #expect(wentOff)
        alarm.acknowledge()
        let again = goesOff(alarm, within: 0)
        #expect(!again)
    }

    @Test("it can be moved and stopped")
    func moved() throws {
        var alarm = try Alarm()
        try alarm.set(now + .seconds(100))
        try alarm.set(now)
        let wentOff = goesOff(alarm, within: 5000)
        #expect(wentOff)
        alarm.acknowledge()
        try alarm.set(now + .milliseconds(1))
        try alarm.set(nil)
        let stopped = goesOff(alarm, within: 20)
        #expect(!stopped)
        #expect(alarm.deadline == nil)
    }
}
