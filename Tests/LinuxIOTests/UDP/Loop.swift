import LinuxIO
import Packets
import Testing

/// Two UDP sockets of one address family on the loopback link, and a batch to send.
struct Loop: ~Copyable {
    struct Message {
        var bytes: [UInt8]
        var segmentSize: Int
        var remote: SocketAddress
        var source: SourceAddress?
        var trafficClass: UInt8
        var isTruncated: Bool
    }

    let sender: UDPSocket
    let receiver: UDPSocket
    let destination: SocketAddress
    let origin: SocketAddress
    var send: SendBatch
    /// The bytes to send. Shared, as a debug build is slow to fill the buffer.
    private static let outgoing = patternBuffer()

    init(
        _ family: AddressFamily, receiveOffload: UDPSocket.ReceiveOffload = .enabled,
        capacity: Int = 64
    ) throws {
        let sender = try UDPSocket(family, port: 0)
        let receiver = try UDPSocket(
            family, port: 0, options: UDPSocket.Options(receiveOffload: receiveOffload))
        destination = SocketAddress(address: family.loopback, port: receiver.port)
        origin = SocketAddress(address: family.loopback, port: sender.port)
        send = SendBatch(capacity: capacity, family: family)
        self.sender = sender
        self.receiver = receiver
    }

    /// The bytes of the buffer at `offset`.
    static func pattern(_ offset: Int, _ length: Int) -> [UInt8] {
        (offset..<offset + length).map { UInt8(truncatingIfNeeded: $0) }
    }

    private static func patternBuffer() -> PacketBuffer {
        var buffer = PacketBuffer(byteCount: 1 << 17)
        var bytes = buffer.mutableBytes
        for offset in 0..<bytes.byteCount {
            bytes.store(byte: UInt8(truncatingIfNeeded: offset), at: offset)
        }
        return buffer
    }

    mutating func flush() -> SendOutcome {
        send.flush(to: sender, from: Self.outgoing.bytes)
    }

    mutating func receiveOnce() -> ReceiveResult {
        var batch = ReceiveBatch(slots: 1)
        var buffer = PacketBuffer(byteCount: ReceiveBatch.bufferByteCount(slots: 1))
        var bytes = buffer.mutableBytes
        return batch.receive(from: receiver, into: &bytes)
    }

    func receiveAll() throws -> [Message] {
        try Self.drain(receiver)
    }

    /// Receives all waiting messages; over loopback, these are all that were sent.
    static func drain(_ socket: borrowing UDPSocket) throws -> [Message] {
        var batch = ReceiveBatch(slots: 16)
        var buffer = PacketBuffer(byteCount: ReceiveBatch.bufferByteCount(slots: 16))
        var messages: [Message] = []
        while true {
            var bytes = buffer.mutableBytes
            let result = batch.receive(from: socket, into: &bytes)
            guard case .messages(let count) = result else {
                try #require(result == .wouldBlock)
                return messages
            }
            #expect(count == batch.count)
            for slot in 0..<count {
                let offset = batch.offset(slot)
                messages.append(
                    Message(
                        bytes: (0..<batch.length(slot)).map { bytes.byte(at: offset + $0) },
                        segmentSize: batch.segmentSize(slot), remote: batch.remote(slot),
                        source: batch.source(slot), trafficClass: batch.trafficClass(slot),
                        isTruncated: batch.isTruncated(slot)))
            }
        }
    }
}

extension SendBatch {
    /// Adds a message.
    mutating func append(
        offset: Int, length: Int, segmentSize: Int, to remote: SocketAddress,
        source: SourceAddress?, trafficClass: UInt8
    ) {
        append(
            UDPTransmit(
                bytes: SegmentRange(offset: offset, length: length, segmentSize: segmentSize),
                remote: remote, source: source, trafficClass: trafficClass))
    }
}
