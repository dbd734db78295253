import CLinux
import Glibc
import LinuxIO
import Testing

@Suite("Daemons")
struct DaemonTests {
    @Test("the parent exits 0 when the child is ready")
    func succeeds() async {
        await #expect(processExitsWith: .exitCode(0)) {
            try Daemon.detach(.discarded).succeed()
            _exit(7)
        }
    }

    @Test("the parent prints the message of the child and exits 1")
    func fails() async throws {
        let result = try #require(
            await #expect(
                processExitsWith: .exitCode(1), observing: [\.standardErrorContent]
            ) {
                try Daemon.detach(.discarded).fail("the port is taken")
                _exit(7)
            })
        let text = String(decoding: result.standardErrorContent, as: UTF8.self)
        #expect(text.contains("the port is taken\n"))
    }

    @Test("a child that ends without a report is a failure")
    func ends() async throws {
        let result = try #require(
            await #expect(
                processExitsWith: .exitCode(1), observing: [\.standardErrorContent]
            ) {
                _ = try Daemon.detach(.kept)
                _exit(0)
            })
        let text = String(decoding: result.standardErrorContent, as: UTF8.self)
        #expect(text.contains("ended before it was ready"))
    }

    @Test("the child is a session leader")
    func session() async throws {
        let result = try #require(
            await #expect(
                processExitsWith: .exitCode(1), observing: [\.standardErrorContent]
            ) {
                let readiness = try Daemon.detach(.kept)
                let leads = getsid(0) == getpid()
                readiness.fail(leads ? "leads" : "follows")
                _exit(0)
            })
        let text = String(decoding: result.standardErrorContent, as: UTF8.self)
        #expect(text.contains("leads\n"))
    }

    @Test("root has CAP_NET_ADMIN, the file limit can be raised, and dumps disabled")
    func rights() async {
        await #expect(processExitsWith: .exitCode(0)) {
            guard ProcessRights.hasNetworkAdministration == (geteuid() == 0) else { exit(2) }
            try ProcessRights.raiseFileLimit()
            try ProcessRights.forbidDumps()
            guard clinux_allows_dumps() == 0 else { exit(3) }
            exit(0)
        }
    }
}
