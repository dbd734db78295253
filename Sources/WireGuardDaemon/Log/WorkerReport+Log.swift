import Engine
import LinuxIO
import Logging

extension WorkerReport {
    /// Whether the event needs attention: the worker ends or loses datagrams.
    var level: Logger.Level {
        switch self {
        case .cannotWait, .cannotListen, .cannotReceive, .cannotRead, .routingLoop: .error
        case .segmentationRefused, .superPacketRefused: .info
        }
    }

    /// The text of the log line.
    var text: String {
        switch self {
        case .cannotWait(let error):
            "a worker cannot wait for packets and ends: \(error)"
        case .cannotListen(let error):
            "a worker cannot wait on its new sockets: \(error)"
        case .cannotReceive(let errno):
            "receiving failed: \(SystemError.message(of: errno)); trying again"
        case .cannotRead(let errno):
            "reading from the TUN failed: \(SystemError.message(of: errno)); trying again"
        case .segmentationRefused(let errno):
            "segmented sends are refused (\(SystemError.message(of: errno))): sending datagrams one by one"
        case .superPacketRefused:
            "the TUN refuses super-packets: writing packets one by one"
        case .routingLoop:
            "the endpoint of a peer is routed into the tunnel to that peer: such datagrams are dropped"
        }
    }
}
