import Engine
import LinuxIO
import Logging
import WireGuard

/// The steps of the start.
extension Interface {
    static func openTun(_ settings: Settings) throws(StartError) -> TunDevice {
        let offloads = settings.offloads.ofTun
        do throws(TunDeviceError) {
            if let descriptor = settings.tunDescriptor {
                let tun = try TunDevice.adopt(
                    FileDescriptor(owning: descriptor), offloads: offloads)
                // The MTU is set by name, and in another namespace another link may have that name.
                if (try? tun.isHere()) == true { try tun.setMTU(Constants.defaultMTU) }
                return tun
            }
            let tun = try TunDevice.create(settings.interface, offloads: offloads)
            try tun.setMTU(Constants.defaultMTU)
            return tun
        } catch {
            throw .tun(error)
        }
    }

    static func openListener(_ settings: Settings) throws(StartError) -> UnixListener {
        do throws(UnixListenerError) {
            if let descriptor = settings.uapiDescriptor {
                return try UnixListener(adopting: FileDescriptor(owning: descriptor))
            }
            return try UnixListener(
                path: "\(settings.socketDirectory)/\(settings.interface).sock")
        } catch {
            throw .socket(error)
        }
    }

    static func startWorkers(
        tun: borrowing TunDevice, device: Device, wakeUp: WakeUp, settings: Settings, log: Logger
    ) throws(SystemError) -> [WorkerThread] {
        let count = settings.workerCount(
            processors: Thread.processorCount, isMultiQueue: tun.capabilities.isMultiQueue)
        var workers: [WorkerThread] = []
        for index in 0..<count {
            let queue: TunQueue
            do throws(TunDeviceError) {
                queue = try tun.openQueue(index)
            } catch {
                // One queue is enough; a TUN that another program opened may have no more.
                guard index > 0 else { throw error.asSystemError }
                log.info("cannot open more than \(index) queues of the TUN: \(error)")
                break
            }
            workers.append(
                try WorkerThread(
                    queue: queue, shared: device.shared, control: wakeUp,
                    usesSegmentation: settings.offloads.udpSegmentation,
                    jitterSeed: device.makeSeed(),
                    report: { log.log(level: $0.level, "\($0.text)") }))
        }
        Thread.raisePriority(by: precedence)
        // A worker may start only after all gates are made.
        for worker in workers { try worker.start() }
        return workers
    }

    /// How far the workers' nice value is below that of other programs, if the process has CAP_SYS_NICE. The
    /// kernel's WireGuard runs before all programs. The nice value counts within a session or control group;
    /// between groups the kernel uses the weights of the groups.
    ///
    /// With 8, a ping beside a full flow on two busy processors took less than half the time, and the flow
    /// lost nothing. With 10 it took a third, but each wake-up handled so few packets that the same bytes
    /// took 20 % more system calls. With 20, programs starved, and the flow with them.
    private static var precedence: Int32 { 8 }
}
