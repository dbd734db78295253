import CLinux
import Glibc

/// Signals as events (signalfd(2)).
package struct SignalDescriptor: ~Copyable, Sendable {
    /// Readable while a signal is pending.
    package let descriptor: FileDescriptor

    /// The signals that end a daemon.
    package static var endings: [Int32] { [SIGINT, SIGTERM] }

    /// Blocks `signals` in the calling thread and in the threads that it starts later, and receives them
    /// here instead. Call it before the first thread starts.
    package init(_ signals: [Int32]) throws(SystemError) {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        for signal in signals {
            unsafe sigaddset(&set, signal)
        }
        let code = unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
        if code != 0 { throw SystemError(call: "pthread_sigmask", code: code) }
        descriptor = try SystemCall.descriptor("signalfd") {
            unsafe signalfd(-1, &set, Int32(clinux_CLOEXEC_SIGNALFD))
        }
    }

    /// Receives the next pending signal, nil if there is none.
    package func next() -> Int32? {
        var information = signalfd_siginfo()
        let size = MemoryLayout<signalfd_siginfo>.size
        guard unsafe read(descriptor.rawValue, &information, size) == size else { return nil }
        return Int32(information.ssi_signo)
    }

    /// Ignores SIGPIPE in the whole process: a write to a closed socket fails with EPIPE instead.
    package static func ignoreBrokenPipes() {
        _ = signal(SIGPIPE, SIG_IGN)
    }
}
