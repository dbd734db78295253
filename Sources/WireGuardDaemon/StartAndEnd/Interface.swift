import Engine
import LinuxIO
import Logging
import WireGuard

/// One running interface: the TUN, the UDP sockets, the configuration socket, the device and its threads.
///
/// Only the control thread uses it; workers use what they were started with. At the end, the workers stop
/// first. Then the socket file and the interface are removed.
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
    /// Reports changes of routes; nil if the system does not permit it. Sources are then not checked.
    let routes: RouteMonitor?
    let sourceChecker: SourceChecker
    var sourceFollower = SourceFollower()
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

    /// Creates the interface and its socket, and starts the workers. If it throws, it leaves nothing behind.
    package init(settings: Settings, log: Logger) throws(StartError) {
        let device = Device(aead: settings.aead ?? .fastest)
        device.isTracing = settings.logLevel == .verbose
        let tun = try Self.openTun(settings)
        var settings = settings
        // A TUN that another program opened may have another name, which tools use.
        if settings.tunDescriptor != nil, let name = try? tun.name() { settings.interface = name }
        var listener = try Self.openListener(settings)
        do throws(SystemError) {
            let kernel = try KernelControl(tun: tun, socketFile: listener.takeFile())
            let signals = try SignalDescriptor(SignalDescriptor.endings)
            let alarm = try Alarm()
            let wakeUp = try WakeUp()
            let epoll = try Epoll()
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
        routes = try? RouteMonitor()
        // What is not watched must not be kept.
        sourceChecker = SourceChecker(routes == nil ? nil : try? RouteLookup())
        self.listener = listener
        configurator = Configurator(
            device: device,
            provider: WorkerSocketProvider(
                kernel: kernel, workers: workers,
                receiveOffload: settings.offloads.receiveOffload),
            log: log)
    }

    /// Ends the workers and removes the socket file. The kernel deletes the interface with its last
    /// descriptor.
    func end() {
        for worker in workers { worker.stop() }
        device.bringDown()
        kernel.removeSocketFile()
    }
}
