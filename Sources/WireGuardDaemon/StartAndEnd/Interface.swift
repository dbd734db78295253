import Engine
import LinuxIO
import Logging
import Packets
import WireGuard

/// One running interface: the TUN, the sockets, the configuration socket, the device and its threads.
///
/// It lives on the control thread, which alone touches it; the workers have what was given to them.
/// When it ends, the workers end first, then the names in the file system and the kernel go.
package final class Interface {
    let settings: Settings
    let log: Logger
    let tun: TunDevice
    let kernel: KernelControl
    let device: Device
    let configurator: Configurator
    let workers: [WorkerThread]
    let signals: SignalDescriptor
    let wakeUp: WakeUp
    let epoll: Epoll
    let routes: RouteMonitor
    let listener: UnixListener
    /// Reports the deletion of the socket's file; nil for a socket that was passed to us.
    let socketWatch: FileWatch?
    var link: LinkMonitor
    var linkFollower = LinkFollower()
    var alarm: Alarm
    var uapi = UAPIServer(.uapi)
    var sender = ControlSender()
    var wakeUpRate = WakeUpRate()
    /// Set once, when the loop must end.
    var endReason: EndReason?

    /// Makes everything, up to the workers that wait for packets. Nothing is left behind when it
    /// throws.
    package init(settings: Settings, log: Logger) throws(StartError) {
        let device = Device(aead: settings.aead ?? .fastest)
        device.isTracing = settings.logLevel == .verbose
        let tun = try Self.openTun(settings)
        var settings = settings
        // A TUN that somebody else made may have another name: the tools look for that one.
        if settings.tunDescriptor != nil, let name = try? tun.name() { settings.interface = name }
        var listener = try Self.openListener(settings)
        do throws(SystemError) {
            let kernel = try KernelControl(tun: tun, socketFile: listener.takeFile())
            let signals = try SignalDescriptor(Self.endingSignals)
            let alarm = try Alarm()
            let wakeUp = try WakeUp()
            let epoll = try Epoll()
            let routes = try RouteMonitor()
            let link = try LinkMonitor(tun)
            let socketWatch: FileWatch? =
                if let path = listener.path { try FileWatch(path: path) } else { nil }
            let workers = try Self.startWorkers(
                tun: tun, device: device, wakeUp: wakeUp, settings: settings, log: log)
            self.kernel = kernel
            self.signals = signals
            self.alarm = alarm
            self.wakeUp = wakeUp
            self.epoll = epoll
            self.routes = routes
            self.link = link
            self.socketWatch = socketWatch
            self.workers = workers
        } catch {
            throw .system(error)
        }
        self.settings = settings
        self.log = log
        self.device = device
        self.tun = tun
        self.listener = listener
        configurator = Configurator(
            device: device,
            provider: WorkerSocketProvider(
                kernel: kernel,
                workers: workers,
                receiveOffload: settings.offloads.udpReceive ? .enabled : .disabled),
            log: log)
    }

    /// Signals that end the daemon cleanly.
    private static var endingSignals: [Int32] { SignalDescriptor.endings }

    // MARK: Steps of the start

    private static func openTun(_ settings: Settings) throws(StartError) -> TunDevice {
        var offloads: TunOffloads = .all
        if !settings.offloads.tunDatagrams { offloads.subtract(.datagrams) }
        if !settings.offloads.tun { offloads = [] }
        do throws(TunDeviceError) {
            if let descriptor = settings.tunDescriptor {
                let tun = try TunDevice.adopt(
                    FileDescriptor(owning: descriptor), offloads: offloads)
                // By name: elsewhere another interface may have it.
                if (try? tun.isHere()) == true { try tun.setMTU(Settings.defaultMTU) }
                return tun
            }
            let tun = try TunDevice.create(settings.interface, offloads: offloads)
            try tun.setMTU(Settings.defaultMTU)
            return tun
        } catch {
            throw .tun(error)
        }
    }

    private static func openListener(_ settings: Settings) throws(StartError) -> UnixListener {
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

    private static func startWorkers(
        tun: borrowing TunDevice, device: Device, wakeUp: WakeUp, settings: Settings, log: Logger
    ) throws(SystemError) -> [WorkerThread] {
        let wanted = settings.workers ?? min(Thread.processorCount, Settings.maximumWorkers)
        let count = tun.capabilities.isMultiQueue ? wanted : 1
        var workers: [WorkerThread] = []
        for index in 0..<count {
            let queue: TunQueue
            do throws(TunDeviceError) {
                queue = try tun.openQueue(index)
            } catch {
                // One queue is enough to work with: a device of somebody else may have no more.
                guard index > 0 else { throw error.asSystemError }
                log.info("only \(index) queues of the TUN can be opened: \(error)")
                break
            }
            workers.append(
                try WorkerThread(
                    queue: queue, shared: device.shared, control: wakeUp,
                    usesSegmentation: settings.offloads.udpSegmentation,
                    jitterSeed: device.makeSeed(), report: { log.log(level: $0.level, "\($0.text)") }))
        }
        Thread.raisePriority(by: precedence)
        // Not before all gates are there.
        for worker in workers { try worker.start() }
        return workers
    }

    /// How much nicer the rest of the machine is than the threads that carry packets, where that is
    /// allowed. In the kernel packets would go before programs altogether. (It counts among programs of
    /// one session or control group: between groups the kernel weighs the groups.) At 8 a ping beside a
    /// full flow between two busy processors took less than half of its time, and the flow lost nothing.
    /// At 10 it took a third, but a wake-up brought so little that there were a fifth more calls for the
    /// same bytes; at 20 the programs came too short, and the flow with them.
    private static var precedence: Int32 { 8 }

    /// Ends the workers and removes the socket file. The kernel deletes the interface with its last
    /// descriptor.
    func end() {
        for worker in workers { worker.stop() }
        device.bringDown()
        kernel.removeSocketFile()
    }
}
