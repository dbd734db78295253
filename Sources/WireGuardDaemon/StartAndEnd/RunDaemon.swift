import LinuxIO
import Logging
import WireGuard

/// How a daemon came to its end.
package enum DaemonOutcome: Equatable, Sendable {
    /// It was told to, or its interface was deleted.
    case ended
    /// It did not start, or could not go on; why was said.
    case failed
}

/// Starts an interface and works until it ends; in the background, the process that called returns to
/// its caller as soon as everything is there.
package func runDaemon(_ settings: Settings) -> DaemonOutcome {
    switch settings.mode {
    case .foreground:
        let log = makeLogger(settings, sink: StandardErrorSink())
        do throws(StartError) {
            let interface = try start(settings, log: log)
            return run(interface, log: log)
        } catch {
            StandardError.writeLine(message(settings, error))
            return .failed
        }
    case .daemon:
        return runInBackground(settings)
    }
}

private func runInBackground(_ settings: Settings) -> DaemonOutcome {
    // A daemon that says nothing keeps nobody waiting for the end of its output.
    let keepsStreams = settings.logLevel != nil && settings.logLevel != .silent
    let readiness: DaemonReadiness
    do throws(SystemError) {
        readiness = try Daemon.detach(keepsStreams ? .kept : .discarded)
    } catch {
        StandardError.writeLine("swireguard-go: cannot go to the background: \(error)")
        return .failed
    }
    // From here on, this is the child; the parent waits for its word.
    if !keepsStreams { SystemLog.open(identity: "swireguard-go") }
    let log =
        keepsStreams
        ? makeLogger(settings, sink: StandardErrorSink())
        : makeLogger(settings, sink: SystemLogSink())
    let interface: Interface
    do throws(StartError) {
        interface = try start(settings, log: log)
    } catch {
        readiness.fail(message(settings, error))
        return .failed
    }
    readiness.succeed()
    return run(interface, log: log)
}

private func start(_ settings: Settings, log: Logger) throws(StartError) -> Interface {
    SignalDescriptor.ignoreBrokenPipes()
    do throws(SystemError) {
        // Memory holds keys.
        try ProcessRights.forbidDumps()
        try ProcessRights.raiseFileLimit()
    } catch {
        log.info("a limit of the process cannot be set, and stays: \(error)")
    }
    guard Cryptography.isReady else { throw .cryptography }
    try checkAEAD(settings, log: log)
    let interface = try Interface(settings: settings, log: log)
    if !Cryptography.areSecretsLocked {
        log.info("keys may be swapped out: the limit of locked memory is too low (ulimit -l)")
    }
    return interface
}

/// Tries out what could seal and open packets; says what does it, and if something that should is
/// not fit to.
private func checkAEAD(_ settings: Settings, log: Logger) throws(StartError) {
    if let wanted = settings.aead {
        if let obstacle = wanted.obstacle { throw .aead(wanted, obstacle) }
    } else {
        // The fastest first: what comes after the one that can be used is not tried out.
        for implementation in AEADImplementation.defaults {
            guard let obstacle = implementation.obstacle else { break }
            guard obstacle != .notBuilt else { continue }
            // That a processor cannot run what others can is nothing unusual; ipsec-mb runs on all.
            let level: Logger.Level =
                switch obstacle {
                case .wrongAnswers: .error
                case .notStarted where implementation != .ipsecMB: .debug
                default: .info
                }
            log.log(level: level, "\(implementation.nameAndVersion) is not used: \(obstacle)")
        }
    }
    log.debug("packets are sealed by \((settings.aead ?? .fastest).nameAndVersion)")
}

private func run(_ interface: Interface, log: Logger) -> DaemonOutcome {
    do throws(SystemError) {
        try interface.run()
        return .ended
    } catch {
        log.error("cannot go on: \(error)")
        return .failed
    }
}

private func makeLogger(_ settings: Settings, sink: some LogSink) -> Logger {
    Logger(settings.interface, level: settings.logLevel ?? .info, sink: sink)
}

private func message(_ settings: Settings, _ error: StartError) -> String {
    "swireguard-go: \(settings.interface): \(error)"
}
