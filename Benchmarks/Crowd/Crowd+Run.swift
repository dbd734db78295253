import LinuxIO
import Packets
import WireGuard
import WireGuardCrypto

extension Crowd {
    /// Establishes a session for each member, as fast as the host answers.
    mutating func establish() throws(SystemError) {
        var incomingBuffer = PacketBuffer(byteCount: ReceiveBatch.bufferByteCount(slots: 64))
        var outgoingBuffer = PacketBuffer(byteCount: Self.bufferByteCount)
        var incoming = incomingBuffer.mutableBytes
        var outgoing = outgoingBuffer.mutableBytes
        var next = 0
        while true {
            while waiting < Self.maximumWaiting, next < members.count {
                if !members[next].hasSession { initiate(next, &outgoing) }
                next += 1
            }
            flush(&outgoing)
            let before = answers
            try wait(until: Clock.boottime() + 1_000_000_000)
            receive(&incoming, &outgoing)
            flush(&outgoing)
            guard answers == before, waiting > 0 || next == members.count else { continue }
            // No answer for a second: all sessions exist, or datagrams were lost.
            guard members.contains(where: { !$0.hasSession }) else { return }
            (waiting, next) = (0, 0)
        }
    }

    /// All answers to initiations. It grows while the host processes them.
    private var answers: Int { handshakes + cookies + late }

    /// Answers the host's initiations until the first `count` members have a session, for `seconds` at most.
    mutating func awaitCalls(seconds: UInt64, count: Int) throws(SystemError) {
        let end = Clock.boottime() + seconds * 1_000_000_000
        while members.prefix(count).contains(where: { !$0.hasSession }), Clock.boottime() < end {
            try run(nanoseconds: 50_000_000, initiationsASecond: 0, echoes: false)
        }
    }

    /// Pings for `seconds` while members renew their sessions in turn, evenly spread.
    ///
    /// The last pings leave early enough for their replies to arrive in time.
    mutating func measure(seconds: UInt64, initiationsASecond: UInt64) throws(SystemError) {
        echo.reset()
        try run(
            nanoseconds: seconds * 1_000_000_000, initiationsASecond: initiationsASecond,
            echoes: true)
    }

    private mutating func run(
        nanoseconds: UInt64, initiationsASecond rate: UInt64, echoes: Bool
    ) throws(SystemError) {
        var incomingBuffer = PacketBuffer(byteCount: ReceiveBatch.bufferByteCount(slots: 64))
        var outgoingBuffer = PacketBuffer(byteCount: Self.bufferByteCount)
        var incoming = incomingBuffer.mutableBytes
        var outgoing = outgoingBuffer.mutableBytes
        var now = Clock.boottime()
        let end = now + nanoseconds
        var nextEcho = echoes ? now : .max
        let pace = rate > 0 ? 1_000_000_000 / rate : 0
        var nextInitiation = rate > 0 ? now : .max
        while now < end {
            if now >= nextEcho {
                ping(now, &outgoing)
                nextEcho = max(nextEcho + Echo.interval, now)
                if nextEcho + Echo.patience > end { nextEcho = .max }
            }
            if now >= nextInitiation {
                initiate(nextMember, &outgoing)
                nextMember = nextMember + 1 < members.count ? nextMember + 1 : 0
                nextInitiation += pace
            }
            flush(&outgoing)
            try wait(until: min(nextEcho, nextInitiation, end))
            receive(&incoming, &outgoing)
            flush(&outgoing)
            now = Clock.boottime()
        }
    }

    private mutating func wait(until deadline: UInt64) throws(SystemError) {
        try timer.set(deadline: deadline)
        _ = try epoll.wait(into: &events)
        _ = timer.drain()
    }

    // MARK: Out

    private mutating func initiate(_ number: Int, _ outgoing: inout MutableRawSpan) {
        let (seconds, nanoseconds) = Clock.realtime()
        var message = outgoing._mutatingExtracting(used..<used + HandshakeInitiation.byteCount)
        do throws(HandshakeError) {
            try members[number].initiate(
                host, number: number,
                now: WallTime(seconds: seconds, nanoseconds: nanoseconds),
                instant: Instant(nanoseconds: Clock.boottime()), into: &message)
        } catch {
            preconditionFailure("the host has a key")
        }
        append(HandshakeInitiation.byteCount, from: number)
        waiting += 1
    }

    private mutating func ping(_ now: UInt64, _ outgoing: inout MutableRawSpan) {
        guard members[0].hasSession else { return }
        echo.write(
            from: Host.inner(of: 0), to: host.inner, now: now, at: used + TransportData.packet,
            into: &outgoing)
        members[0].seal(at: used, length: Echo.byteCount, in: &outgoing)
        append(TransportData.overhead + Echo.byteCount, from: 0)
    }

    private mutating func keepAlive(_ number: Int, _ outgoing: inout MutableRawSpan) {
        members[number].seal(at: used, length: 0, in: &outgoing)
        append(TransportData.overhead, from: number)
    }

    private mutating func append(_ byteCount: Int, from number: Int) {
        let source = SourceAddress(address: .v4(Host.outer(of: number)), interfaceIndex: 0)
        sending.append(
            UDPTransmit(
                bytes: SegmentRange(offset: used, length: byteCount), remote: host.address,
                source: source))
        used += byteCount
    }

    private mutating func flush(_ outgoing: inout MutableRawSpan) {
        if sending.count > 0 { _ = sending.flush(to: socket, from: outgoing.bytes) }
        used = 0
    }

    // MARK: In

    private mutating func receive(
        _ incoming: inout MutableRawSpan, _ outgoing: inout MutableRawSpan
    ) {
        while case .messages(let count) = received.receive(from: socket, into: &incoming) {
            for slot in 0..<count {
                handle(slot, &incoming, &outgoing)
                if sending.isFull { flush(&outgoing) }
            }
        }
    }

    private mutating func handle(
        _ slot: Int, _ incoming: inout MutableRawSpan, _ outgoing: inout MutableRawSpan
    ) {
        let (offset, length) = (received.offset(slot), received.length(slot))
        let index: ReceiverIndex
        let counter: UInt64
        switch Message(in: incoming.bytes, at: offset, length: length) {
        case .transportData(let data):
            index = data.receiver
            counter = data.counter
        case .handshake(.response(let response)):
            return consume(response, &outgoing)
        case .handshake(.initiation(let initiation)):
            return respond(to: initiation, at: received.source(slot)?.address, &outgoing)
        case .handshake(.cookieReply(let reply)):
            return consume(reply)
        case nil:
            unexpected += 1
            return
        }
        open(at: offset, length: length, for: index, counter, &incoming)
    }

    private mutating func open(
        at offset: Int, length: Int, for index: ReceiverIndex, _ counter: UInt64,
        _ incoming: inout MutableRawSpan
    ) {
        let number = Member.number(of: index.rawValue)
        guard number < members.count else {
            unexpected += 1
            return
        }
        let opened = members[number].open(
            at: offset, length: length, index: index, counter: counter, in: &incoming)
        switch opened {
        case .nothing: return
        case .firstPacket: handshakes += 1
        case .packet: break
        }
        guard number == 0 else { return }
        echo.read(
            incoming.bytes, at: offset + TransportData.packet,
            length: length - TransportData.overhead, now: Clock.boottime())
    }

    /// The member with this outer address.
    private func member(at address: IPAddress?) -> Int? {
        guard case .v4(let address)? = address, let number = Host.member(at: address),
            number < members.count
        else { return nil }
        return number
    }

    /// The member that an answer of the host is for. Counts the answer and returns nil if there is none,
    /// or if a newer handshake superseded it.
    private mutating func memberAnswered(at index: UInt32) -> Int? {
        let number = Member.number(of: index)
        guard number < members.count else {
            unexpected += 1
            return nil
        }
        guard !members[number].isSuperseded(index) else {
            late += 1
            return nil
        }
        return number
    }

    private mutating func consume(_ reply: CookieReply) {
        guard let number = memberAnswered(at: reply.receiver.rawValue) else { return }
        let isExpected = members[number].consume(
            reply, now: Instant(nanoseconds: Clock.boottime()))
        if isExpected { cookies += 1 } else { unexpected += 1 }
    }

    private mutating func consume(
        _ response: HandshakeResponse, _ outgoing: inout MutableRawSpan
    ) {
        guard let number = memberAnswered(at: response.receiver.rawValue) else { return }
        waiting = max(waiting - 1, 0)
        guard (try? members[number].consume(response)) != nil else {
            unexpected += 1
            return
        }
        handshakes += 1
        // The host may send only after it received a message with the new key.
        keepAlive(number, &outgoing)
    }

    /// Answers the host's initiation to the member with this outer address.
    private mutating func respond(
        to initiation: HandshakeInitiation, at address: IPAddress?, _ outgoing: inout MutableRawSpan
    ) {
        guard let number = member(at: address) else {
            unexpected += 1
            return
        }
        var response = outgoing._mutatingExtracting(used..<used + HandshakeResponse.byteCount)
        guard
            (try? members[number].respond(
                to: initiation, host, number: number,
                now: Instant(nanoseconds: Clock.boottime()), into: &response)) != nil
        else {
            unexpected += 1
            return
        }
        append(HandshakeResponse.byteCount, from: number)
    }
}
