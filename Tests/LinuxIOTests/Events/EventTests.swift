import Glibc
import LinuxIO
import Packets
import Synchronization
import Testing

@Suite("Events, timers, signals and threads")
struct EventTests {
    @Test("a bell rung by another thread wakes the one that waits, once however often it rang")
    func bell() throws {
        let bell = Shared(try EventDescriptor())
        let epoll = try Epoll()
        var events = EpollEvents(capacity: 4)
        try epoll.add(bell.value.descriptor, token: 0xFFFF_FFFF_0000_0001)
        let silent = try epoll.wait(into: &events, milliseconds: 0)
        #expect(silent == 0)
        let thread = try Thread.start("io-bell") {
            for _ in 0..<3 { bell.value.signal() }
        }
        thread.join()
        let count = try epoll.wait(into: &events, milliseconds: 5000)
        #expect(count == 1)
        let (token, isReadable, isBroken) = (
            events.token(0), events.isReadable(0), events.isBroken(0)
        )
        #expect(token == 0xFFFF_FFFF_0000_0001 && isReadable && !isBroken)
        let rang = bell.value.drain()
        let again = bell.value.drain()
        #expect(rang && !again)
        let afterwards = try epoll.wait(into: &events, milliseconds: 0)
        #expect(afterwards == 0)
    }

    @Test("interest can be changed and ended")
    func interest() throws {
        let bell = try EventDescriptor()
        let epoll = try Epoll()
        var events = EpollEvents(capacity: 1)
        try epoll.add(bell.descriptor, token: 1, for: [.readable, .writable])
        let writable = try epoll.wait(into: &events, milliseconds: 0)
        #expect(writable == 1)
        let isWritable = events.isWritable(0)
        #expect(isWritable)
        try epoll.modify(bell.descriptor, token: 1, for: .readable)
        let quiet = try epoll.wait(into: &events, milliseconds: 0)
        #expect(quiet == 0)
        bell.signal()
        try epoll.remove(bell.descriptor)
        let removed = try epoll.wait(into: &events, milliseconds: 0)
        #expect(removed == 0)
        #expect(throws: SystemError(call: "epoll_ctl", code: ENOENT)) {
            try epoll.remove(bell.descriptor)
        }
    }

    @Test("an alarm rings at its deadline, at once if that has passed, and not when it is stopped")
    func alarm() throws {
        let timer = try TimerDescriptor()
        for past in [0, 1, Clock.boottime()] as [UInt64] {
            try timer.set(deadline: past)
            let rings = Host.isReadable(timer.descriptor)
            let isDue = timer.drain()
            #expect(rings && isDue)
            let again = timer.drain()
            #expect(!again)
        }
        let deadline = Clock.boottime() + 20_000_000
        try timer.set(deadline: deadline)
        let early = timer.drain()
        #expect(!early || Clock.boottime() >= deadline)
        let rings = Host.isReadable(timer.descriptor)
        #expect(rings && Clock.boottime() >= deadline)
        for stop in [nil, UInt64.max, Clock.boottime() + 3_600_000_000_000] as [UInt64?] {
            try timer.set(deadline: stop)
            let isReadable = Host.isReadable(timer.descriptor, milliseconds: 0)
            #expect(!isReadable)
        }
    }

    @Test("signals arrive as events")
    func signals() async {
        await #expect(processExitsWith: .exitCode(0)) {
            let signals = try SignalDescriptor([SIGTERM, SIGUSR1])
            guard signals.next() == nil else { exit(2) }
            // To the thread itself: the test's other threads do not block it.
            pthread_kill(pthread_self(), SIGTERM)
            guard Host.isReadable(signals.descriptor) else { exit(3) }
            guard signals.next() == SIGTERM, signals.next() == nil else { exit(4) }
            exit(0)
        }
    }

    @Test("a thread owns what it was given, has its name and no signals")
    func thread() throws {
        let report = Report()
        var before = sigset_t()
        unsafe pthread_sigmask(SIG_BLOCK, nil, &before)
        let bell = try EventDescriptor()
        let raw = bell.descriptor.rawValue
        let thread = try Thread.start("io-worker-with-a-long-name", owning: bell) { bell in
            var mask = sigset_t()
            unsafe pthread_sigmask(SIG_BLOCK, nil, &mask)
            let isBlocked = unsafe sigismember(&mask, SIGTERM) == 1
            report.set(
                name: Host.contents(of: "/proc/thread-self/comm"), isBlocked: isBlocked,
                descriptor: bell.descriptor.rawValue)
        }
        thread.join()
        let (name, isBlocked, descriptor) = report.value
        #expect(name == "io-worker-with-\n")
        #expect(isBlocked)
        #expect(descriptor == raw)
        var after = sigset_t()
        unsafe pthread_sigmask(SIG_BLOCK, nil, &after)
        let isUnchanged = (1...31).allSatisfy {
            unsafe sigismember(&before, $0) == sigismember(&after, $0)
        }
        #expect(isUnchanged)
    }

    @Test("the clocks agree with the kernel's")
    func clocks() throws {
        let start = Clock.boottime()
        let uptime = try Host.run("cat /proc/uptime").split(separator: ".").first
        let seconds = try #require(uptime.flatMap { UInt64($0) })
        // Within a second, since /proc counts the same clock.
        #expect(start / 1_000_000_000 <= seconds + 1)
        #expect(Clock.boottime() / 1_000_000_000 >= seconds)
        let real = Clock.realtime()
        #expect(abs(Int(real.seconds) - time(nil)) <= 1)
        #expect(real.nanoseconds < 1_000_000_000)
        #expect(Thread.processorCount >= 1)
    }

    private final class Shared: Sendable {
        let value: EventDescriptor

        init(_ value: consuming EventDescriptor) {
            self.value = value
        }
    }

    private final class Report: Sendable {
        private let state = Mutex(("", false, Int32(-1)))

        var value: (name: String, isBlocked: Bool, descriptor: Int32) {
            state.withLock { ($0.0, $0.1, $0.2) }
        }

        func set(name: String, isBlocked: Bool, descriptor: Int32) {
            state.withLock { $0 = (name, isBlocked, descriptor) }
        }
    }
}
