import Engine
import LinuxIO

/// Sockets for the workers of this process.
struct WorkerSocketProvider: SocketProvider {
    let kernel: KernelControl
    let workers: [WorkerThread]
    let receiveOffload: UDPSocket.ReceiveOffload

    /// How long to wait for workers to close the sockets before.
    private static let maximumWaitMilliseconds = 1000

    func bind(port: UInt16, mark: UInt32) throws(SystemError) -> [UDPSocketPair] {
        // A port that was just left stays bound until the last worker closes its old sockets.
        var waited = 0
        while waited < Self.maximumWaitMilliseconds, workers.contains(where: \.holdsOldSockets) {
            waited += 1
            Clock.pause(milliseconds: 1)
        }
        return try kernel.bindSockets(
            KernelControl.SocketRequest(
                port: port, count: workers.count, mark: mark, receiveOffload: receiveOffload))
    }

    func set(mark: UInt32, of pair: UDPSocketPair) throws(SystemError) {
        try kernel.setMark(mark, of: pair)
    }

    func deliver(_ pairs: [UDPSocketPair]) {
        for (worker, pair) in zip(workers, pairs) { worker.use(pair) }
    }
}
