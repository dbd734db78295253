import LinuxIO
import Logging
import WireGuard

/// How a daemon ended.
package enum DaemonOutcome: Equatable, Sendable {
    /// It received a signal, or its interface or socket was deleted.
    case ended
    /// It did not start or could not continue. The reason was printed or logged.
    case failed
}

/// Starts an interface and works until it ends. In daemon mode the calling process exits as soon as the
/// interface and its configuration socket exist.
package func runDaemon(_ settings: Settings) -> DaemonOutcome {
    switch settings.mode {
    case .foreground: runInForeground(settings, sink: StandardErrorSink())
    case .daemon: runInBackground(settings)
    }
}

func runInForeground(_ settings: Settings, sink: some LogSink) -> DaemonOutcome {
    let log = Logger(settings.interface, level: settings.effectiveLogLevel, sink: sink)
    do throws(StartError) {
        return run(try start(settings, log: log), log: log)
    } catch {
        StandardError.writeLine(error.message(for: settings.interface))
        return .failed
    }
}

private func runInBackground(_ settings: Settings) -> DaemonOutcome {
    // A silent daemon closes the standard streams, so that no program waits for the end of its output.
    let keepsStreams = settings.logLevel != nil && settings.logLevel != .silent
    let readiness: DaemonReadiness
    do throws(SystemError) {
        readiness = try Daemon.detach(keepsStreams ? .kept : .discarded)
    } catch {
        StandardError.writeLine("swireguard-go: cannot run in the background: \(error)")
        return .failed
    }
    // From here on, this is the child process; the parent waits until it is ready.
    if !keepsStreams { SystemLog.open(identity: "swireguard-go") }
    let level = settings.effectiveLogLevel
    let log =
        keepsStreams
        ? Logger(settings.interface, level: level, sink: StandardErrorSink())
        : Logger(settings.interface, level: level, sink: SystemLogSink())
    let interface: Interface
    do throws(StartError) {
        interface = try start(settings, log: log)
    } catch {
        readiness.fail(error.message(for: settings.interface))
        return .failed
    }
    readiness.succeed()
    return run(interface, log: log)
}

private func start(_ settings: Settings, log: Logger) throws(StartError) -> Interface {
    SignalDescriptor.ignoreBrokenPipes()
    do throws(SystemError) {
        // The memory holds keys.
        try ProcessRights.forbidDumps()
        try ProcessRights.raiseFileLimit()
    } catch {
        log.info("cannot change a limit of the process: \(error)")
    }
    guard Cryptography.isReady else { throw .cryptography }
    try AEADCheck(obstacle: \.obstacle).run(settings.aead, log: log)
    let interface = try Interface(settings: settings, log: log)
    if !Cryptography.areSecretsLocked {
        log.info("keys may be swapped out: raise the limit of locked memory (ulimit -l)")
    }
    return interface
}

private func run(_ interface: Interface, log: Logger) -> DaemonOutcome {
    do throws(SystemError) {
        try interface.run()
        return .ended
    } catch {
        log.error("cannot continue: \(error)")
        return .failed
    }
}
