import Glibc
import LinuxIO
import Packets
import Synchronization
import Testing

@Suite("Events, timers, signals and threads")
struct EventTests {
    @Test("several signals of another thread are one event")
    func wakeUp() throws {
        let event = Shared(try EventDescriptor())
        let epoll = try Epoll()
        var events = EpollEvents(capacity: 4)
        try epoll.add(event.value.descriptor, token: 0xFFFF_FFFF_0000_0001)
        let silent = try epoll.wait(into: &events, milliseconds: 0)
        #expect(silent == 0)
        let thread = try Thread.start("io-wake-up") {
            for _ in 0..<3 { event.value.signal() }
        }
        thread.join()
        let count = try epoll.wait(into: &events, milliseconds: 5000)
        #expect(count == 1)
        let (token, isReadable, isBroken) = (
            events.token(0), events.isReadable(0), events.isBroken(0)
        )
        #expect(token == 0xFFFF_FFFF_0000_0001 && isReadable && !isBroken)
        let wasSignalled = event.value.drain()
        let again = event.value.drain()
        #expect(wasSignalled && !again)
        let afterwards = try epoll.wait(into: &events, milliseconds: 0)
        #expect(afterwards == 0)
    }

    @Test("events can be changed, and a descriptor removed")
    func interest() throws {
        let event = try EventDescriptor()
        let epoll = try Epoll()
        var events = EpollEvents(capacity: 1)
        try epoll.add(event.descriptor, token: 1, for: [.readable, .writable])
        let writable = try epoll.wait(into: &events, milliseconds: 0)
        #expect(writable == 1)
        let isWritable = events.isWritable(0)
        #expect(isWritable)
        try epoll.modify(event.descriptor, token: 1, for: .readable)
        let quiet = try epoll.wait(into: &events, milliseconds: 0)
        #expect(quiet == 0)
        event.signal()
        try epoll.remove(event.descriptor)
        let removed = try epoll.wait(into: &events, milliseconds: 0)
        #expect(removed == 0)
        #expect(throws: SystemError(call: "epoll_ctl", code: ENOENT)) {
            try epoll.remove(event.descriptor)
        }
    }

    @Test("a timer expires at its deadline, at once if it is past, and never without one")
    func timer() throws {
        let timer = try TimerDescriptor()
        for past in [0, 1, Clock.boottime()] as [UInt64] {
            try timer.set(deadline: past)
            let expires = Host.isReadable(timer.descriptor)
            let isDue = timer.drain()
            #expect(expires && isDue)
            let again = timer.drain()
            #expect(!again)
        }
        let deadline = Clock.boottime() + 20_000_000
        try timer.set(deadline: deadline)
        let early = timer.drain()
        #expect(!early || Clock.boottime() >= deadline)
        let expires = Host.isReadable(timer.descriptor)
        #expect(expires && Clock.boottime() >= deadline)
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
            // To this thread, as the other threads of the test do not block the signal.
            pthread_kill(pthread_self(), SIGTERM)
            guard Host.isReadable(signals.descriptor) else { exit(3) }
            guard signals.next() == SIGTERM, signals.next() == nil else { exit(4) }
            exit(0)
        }
    }

    @Test("a thread has its state, its name, and all signals blocked")
    func thread() throws {
        let report = Report()
        var before = sigset_t()
        unsafe pthread_sigmask(SIG_BLOCK, nil, &before)
        let event = try EventDescriptor()
        let raw = event.descriptor.rawValue
        let thread = try Thread.start("io-worker-with-a-long-name", owning: event) { event in
            var mask = sigset_t()
            unsafe pthread_sigmask(SIG_BLOCK, nil, &mask)
            let isBlocked = unsafe sigismember(&mask, SIGTERM) == 1
            report.set(
                name: Host.contents(of: "/proc/thread-self/comm"), isBlocked: isBlocked,
                descriptor: event.descriptor.rawValue)
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

    @Test("the clocks are those of the kernel")
    func clocks() throws {
        let start = Clock.boottime()
        let uptime = try Host.run("cat /proc/uptime").split(separator: ".").first
        let seconds = try #require(uptime.flatMap { UInt64($0) })
        // /proc/uptime is the same clock, in hundredths of a second.
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
