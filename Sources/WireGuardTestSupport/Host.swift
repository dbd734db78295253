import WireGuard

/// A tunnel with an outer address, a key and a clock.
public final class Host {
    /// What it is called in the messages of a test.
    public let name: String
    /// Where it is on the outside.
    public private(set) var address: SocketAddress
    /// The interface.
    public let tunnel: Tunnel
    /// Its private key, as 64 digits.
    public let privateKey: String
    /// The key that others know it by.
    public let publicKey: PublicKey
    /// The inner packets that came out of the tunnel, oldest first.
    public var received: [[UInt8]] = []
    /// What happened in the tunnel, oldest first.
    public var events: [TraceEvent] = []
    /// Told of each event when it happens, for whoever wants to know the time.
    public var observe: (TraceEvent) -> Void = { _ in }
    /// Whether it takes itself to be under load, though nobody floods it: it asks for cookies.
    public var isUnderLoad: Bool {
        get { tunnel.isForcedUnderLoad }
        set { tunnel.isForcedUnderLoad = newValue }
    }
    /// By how many nanoseconds its steady clock is ahead of the network's; negative for behind.
    public var clockOffset: Int64 = 0
    /// By how many seconds its wall clock is ahead of the network's; negative for behind.
    public var wallOffset: Int64 = 0

    private unowned let network: Network

    init(_ name: String, at address: SocketAddress, seed: UInt64, network: Network) {
        var random = SeededRandom(seed: seed)
        self.name = name
        self.address = address
        self.network = network
        let key = PrivateKey(random: &random)
        privateKey = key.bytes.hexadecimal
        publicKey = key.publicKey
        tunnel = Tunnel(random: random)
        tunnel.isTracing = true
        tunnel.listenPort = address.port
        var change = ConfigurationChange()
        change.privateKey = .set(key.copy())
        configure(change)
        bringUp()
    }

    // MARK: Clock

    /// What its clocks say.
    public var now: Moment {
        let time = Self.shift(network.time.nanoseconds, by: clockOffset)
        let wall = network.time.nanoseconds
        return Moment(
            instant: ObservedInstant(nanoseconds: time),
            wall: WallTime(
                seconds: 1_700_000_000 + Int64(wall / 1_000_000_000) + wallOffset,
                nanoseconds: UInt32(wall % 1_000_000_000)))
    }

    /// When its tunnel wants to be called, by the network's clock.
    public var nextTimeout: ObservedInstant? {
        tunnel.nextTimeout.map {
            ObservedInstant(nanoseconds: Self.shift($0.nanoseconds, by: 0 &- clockOffset))
        }
    }

    private static func shift(_ nanoseconds: UInt64, by offset: Int64) -> UInt64 {
        if offset >= 0 {
            let (sum, overflow) = nanoseconds.addingReportingOverflow(UInt64(offset))
            return overflow ? .max : sum
        }
        return nanoseconds >= offset.magnitude ? nanoseconds - offset.magnitude : 0
    }

    // MARK: Configuration

    /// Applies a change. Traps if the tunnel refuses it.
    public func configure(_ change: borrowing ConfigurationChange) {
        do throws(ConfigurationError) {
            try tunnel.configure(change, now: now)
        } catch {
            preconditionFailure("\(name) refuses the change: \(error)")
        }
        collect()
    }

    /// Applies lines of the configuration protocol. Traps if the tunnel refuses them.
    public func configure(_ text: String) {
        do throws(ConfigurationError) {
            try tunnel.configure(text, now: now)
        } catch {
            preconditionFailure("\(name) refuses the lines: \(error)")
        }
        collect()
    }

    /// Makes somebody a peer, or changes it; what is nil stays as it is.
    ///
    /// - Parameters:
    ///   - other: its public key.
    ///   - allowedIPs: such as `10.0.0.2/32`; those that it has stay.
    ///   - endpoint: where it is; without one it has to call.
    ///   - presharedKey: 32 bytes.
    ///   - persistentKeepalive: in seconds, 0 for none.
    public func addPeer(
        _ other: PublicKey, allowedIPs: [String], endpoint: SocketAddress? = nil,
        presharedKey: [UInt8]? = nil, persistentKeepalive: UInt16? = nil
    ) {
        var lines = ["public_key=\(other.hexadecimal)"]
        if let endpoint { lines.append("endpoint=\(endpoint)") }
        if let presharedKey { lines.append("preshared_key=\(presharedKey.hexadecimal)") }
        if let persistentKeepalive {
            lines.append("persistent_keepalive_interval=\(persistentKeepalive)")
        }
        lines += allowedIPs.map { "allowed_ip=\($0)" }
        configure(lines.joined(separator: "\n"))
    }

    /// The interface comes up.
    public func bringUp() {
        tunnel.bringUp(now: now)
        collect()
    }

    /// The interface goes down.
    public func takeDown() {
        tunnel.takeDown()
        collect()
    }

    /// It is somewhere else from now on, as a phone that leaves the house.
    public func move(to address: SocketAddress) {
        self.address = address
    }

    /// What it knows of a peer.
    public func snapshot(of other: Host) -> PeerSnapshot? {
        tunnel.peer(other.publicKey)
    }

    // MARK: Packets

    /// Sends an inner packet.
    public func send(_ packet: [UInt8]) {
        tunnel.handlePacket(packet, now: now)
        collect()
    }

    func receive(_ capture: Capture) {
        tunnel.handleDatagram(
            capture.bytes, from: capture.from,
            to: SourceAddress(address: capture.to.address, interfaceIndex: 1),
            trafficClass: capture.trafficClass, now: now)
        collect()
    }

    /// Lets the tunnel do what is due, as the network does at ``nextTimeout``.
    public func handleTimeout() {
        tunnel.handleTimeout(now: now)
        collect()
    }

    private func collect() {
        while let datagram = tunnel.nextDatagram() {
            network.send(
                Capture(
                    time: network.time, from: address, to: datagram.remote, bytes: datagram.bytes,
                    trafficClass: datagram.trafficClass))
        }
        while let packet = tunnel.nextPacket() { received.append(packet) }
        while let event = tunnel.nextEvent() {
            events.append(event)
            observe(event)
        }
    }
}

extension RawSpan {
    fileprivate var hexadecimal: String {
        // Below the number of bytes.
        (0..<byteCount).map { unsafe unsafeLoad(fromByteOffset: $0, as: UInt8.self) }.hexadecimal
    }
}

extension Sequence<UInt8> {
    /// Two digits for each byte.
    public var hexadecimal: String {
        map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
