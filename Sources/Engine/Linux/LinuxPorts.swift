import LinuxIO
import Packets

/// A TUN queue with the vectors for its writes.
struct LinuxPacketPort: PacketPort, ~Copyable {
    private let queue: TunQueue
    private var pieces = GatherList(capacity: 1023)

    init(_ queue: consuming TunQueue) {
        self.queue = queue
    }

    var hasVirtioNetHeader: Bool { queue.capabilities.hasVirtioNetHeader }

    mutating func read(into buffer: inout MutableRawSpan) -> PacketReadResult {
        queue.read(into: &buffer, at: 0, count: buffer.byteCount)
    }

    mutating func write(
        _ pieces: Span<FlowCoalescer.Piece>, of buffer: RawSpan
    ) -> PacketWriteResult {
        let skipped = hasVirtioNetHeader ? 0 : VirtioNetHeader.byteCount
        self.pieces.removeAll()
        for index in pieces.indices {
            let cut = index == 0 ? skipped : 0
            self.pieces.append(
                offset: pieces[index].offset + cut, length: pieces[index].length - cut)
        }
        return queue.write(header: RawSpan(), pieces: &self.pieces, of: buffer)
    }
}

extension SendBatch: DatagramSender {
    mutating func flush(through socket: HeldSocket, from buffer: RawSpan) -> SendOutcome {
        socket.flush(&self, from: buffer)
    }
}

extension ReceiveBatch: DatagramReceiver {
    var bufferByteCount: Int { Self.bufferByteCount(slots: slots) }

    mutating func receive(
        from socket: HeldSocket, atMost limit: Int, into buffer: inout MutableRawSpan
    ) -> ReceiveResult {
        socket.receive(&self, atMost: limit, into: &buffer)
    }
}

extension UDPSocketPair: SocketPair {
    var socket4: HeldSocket? { v4.map(HeldSocket.init) }
    var socket6: HeldSocket? { v6.map(HeldSocket.init) }
}
