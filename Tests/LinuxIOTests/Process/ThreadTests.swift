import Glibc
import LinuxIO
import Synchronization
import Testing

@Suite("Thread priorities and the environment")
struct ThreadTests {
    @Test("a priority is that of the calling thread alone")
    func priority() throws {
        let before = Self.niceness
        let report = Mutex([Int32]())
        let shared = Box(report)
        let thread = try Thread.start("io-nice") {
            let first = Self.niceness
            Thread.lowerPriority(by: 3)
            let second = Self.niceness
            // As root this restores the value; without the permission nothing changes.
            Thread.raisePriority(by: 3)
            shared.mutex.withLock { $0 = [first, second, Self.niceness] }
        }
        thread.join()
        let values = shared.mutex.withLock { $0 }
        #expect(values.count == 3)
        #expect(values[0] == before)
        #expect(values[1] == min(before + 3, 19))
        #expect([before, values[1]].contains(values[2]))
        #expect(Self.niceness == before)
    }

    @Test("the environment has values and a working directory")
    func environment() {
        #expect(Environment.value("PATH") != nil)
        #expect(Environment.value("SWIREGUARD_UNSET_VARIABLE") == nil)
        #expect(Environment.workingDirectory?.hasPrefix("/") == true)
    }

    private static var niceness: Int32 {
        getpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0)
    }

    private final class Box: Sendable {
        let mutex: Mutex<[Int32]>

        init(_ mutex: consuming Mutex<[Int32]>) {
            self.mutex = mutex
        }
    }
}
