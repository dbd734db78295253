import Engine
import LinuxIO
import Logging
import Testing

@testable import WireGuardDaemon

@Suite("Log lines of workers")
struct WorkerReportTests {
    private static let enomem: Int32 = 12

    @Test("an errno is logged as the system's message")
    func errno() {
        let message = SystemError.message(of: Self.enomem)
        for report in [
            WorkerReport.cannotReceive(errno: Self.enomem), .cannotRead(errno: Self.enomem),
            .segmentationRefused(errno: Self.enomem),
            .cannotWait(SystemError(call: "epoll_wait", code: Self.enomem)),
            .cannotListen(SystemError(call: "epoll_ctl", code: Self.enomem)),
        ] {
            #expect(report.text.contains(message))
        }
    }

    @Test("losses are errors, fallbacks are not")
    func level() {
        #expect(WorkerReport.routingLoop.level == .error)
        #expect(WorkerReport.routingLoop.text.contains("routed into the tunnel"))
        #expect(WorkerReport.superPacketRefused.level == .info)
        #expect(WorkerReport.superPacketRefused.text.contains("one by one"))
        #expect(WorkerReport.segmentationRefused(errno: 5).level == .info)
        #expect(WorkerReport.cannotRead(errno: Self.enomem).level == .error)
    }
}
