import Packets
import WireGuard

@testable import Engine

struct FakePort: PacketPort, ~Copyable {
    let script: Script

    var hasVirtioNetHeader: Bool { script.hasVirtioNetHeader }

    mutating func read(into buffer: inout MutableRawSpan) -> PacketReadResult {
        guard let result = script.reads.next() else { return .wouldBlock }
        guard case .bytes = result, let packet = script.packets.next() else { return result }
        let header: [UInt8] = hasVirtioNetHeader ? Array(repeating: 0, count: 10) : []
        for (offset, byte) in (header + packet).enumerated() {
            buffer.store(byte: byte, at: offset)
        }
        return result
    }

    mutating func write(
        _ pieces: Span<FlowCoalescer.Piece>, of buffer: RawSpan
    ) -> PacketWriteResult {
        var bytes: [UInt8] = []
        for index in pieces.indices {
            let piece = pieces[index]
            bytes += (piece.offset..<piece.offset + piece.length).map { buffer.byte(at: $0) }
        }
        script.written.append(Array(bytes.dropFirst(10)))
        return script.writeResults.next() ?? .written
    }
}

struct FakeSockets: SocketPair, Equatable {
    /// A socket is the family that it is for.
    var socket4: AddressFamily? = .v4
    var socket6: AddressFamily? = .v6
    var hasSegmentation = true
}

struct FakeSender: DatagramSender, ~Copyable {
    let script: Script
    let family: AddressFamily
    let capacity = 128  // As for a batch of the worker.
    private var messages: [UDPTransmit<SegmentRange>] = []

    init(_ script: Script, _ family: AddressFamily) {
        self.script = script
        self.family = family
    }

    var count: Int { messages.count }

    mutating func append(_ transmit: UDPTransmit<SegmentRange>) {
        precondition(count < capacity && transmit.remote.address.family == family)
        messages.append(transmit)
    }

    mutating func flush(through socket: AddressFamily, from buffer: RawSpan) -> SendOutcome {
        precondition(socket == family)
        for transmit in messages {
            let range = transmit.bytes.offset..<transmit.bytes.offset + transmit.bytes.length
            let sent = Script.Sent(transmit: transmit, bytes: range.map { buffer.byte(at: $0) })
            switch family {
            case .v4: script.sent4.append(sent)
            case .v6: script.sent6.append(sent)
            }
        }
        messages = []
        return (family == .v4 ? script.outcomes4.next() : script.outcomes6.next()) ?? SendOutcome()
    }

    mutating func removeAll() -> Int {
        defer { messages = [] }
        return messages.reduce(0) { $0 + $1.bytes.datagramCount }
    }
}

struct FakeReceiver: DatagramReceiver, ~Copyable {
    let script: Script
    let slots = 32
    private static let slotByteCount = 4096
    private var arrivals: [UDPArrival<SegmentRange>] = []

    init(_ script: Script) {
        self.script = script
    }

    var bufferByteCount: Int { slots * Self.slotByteCount }

    mutating func receive(
        from socket: AddressFamily, atMost limit: Int, into buffer: inout MutableRawSpan
    ) -> ReceiveResult {
        script.limits.append(limit)
        switch socket == .v4 ? script.receives4.next() : script.receives6.next() {
        case nil: return .wouldBlock
        case .failed(let errno): return .failed(errno)
        case .messages(let messages):
            precondition(messages.count <= limit)
            arrivals = []
            for (slot, message) in messages.enumerated() {
                let start = slot * Self.slotByteCount
                for (offset, byte) in message.bytes.enumerated() {
                    buffer.store(byte: byte, at: start + offset)
                }
                arrivals.append(
                    UDPArrival(
                        bytes: SegmentRange(offset: start, length: message.bytes.count),
                        remote: message.remote, source: message.source))
            }
            return .messages(messages.count)
        }
    }

    func arrival(_ slot: Int) -> UDPArrival<SegmentRange> { arrivals[slot] }
}

struct FakeHost: WorkerHost, ~Copyable {
    let script: Script
    private var events: [WorkerEvent] = []

    init(_ script: Script) {
        self.script = script
    }

    mutating func wait(milliseconds: Int32?) throws(Script.Ended) -> Int {
        if milliseconds == 0 {
            events = script.polls.next() ?? []
        } else {
            script.onWait()
            guard let next = script.waits.next() else { throw Script.Ended() }
            events = next
        }
        return events.count
    }

    func event(_ index: Int) -> WorkerEvent { events[index] }

    mutating func listen(to new: FakeSockets, insteadOf old: FakeSockets?) throws(Script.Ended) {
        script.listened.append(new)
        if script.listenFails { throw Script.Ended() }
    }

    func acknowledgeMail() { script.acknowledged += 1 }
    func wakeControlThread() { script.wakeUps += 1 }

    func now() -> ObservedInstant {
        script.now.nanoseconds += script.tick
        return script.now
    }

    func pause(nanoseconds: Int) {
        script.pauses.append(nanoseconds)
        script.onPause(nanoseconds)
    }

    func yield() { script.yields += 1 }
    func report(_ event: WorkerReport) { script.reports.append(event) }
}
