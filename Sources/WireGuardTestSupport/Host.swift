import WireGuard

/// A tunnel with an outer address, a key and a clock.
public final class Host {
    /// The name for messages of a test.
    public let name: String
    /// The outer address.
    public private(set) var address: SocketAddress
    /// The tunnel under test.
    public let tunnel: Tunnel
    /// The private key as 64 hexadecimal digits.
    public let privateKey: String
    /// The public key.
    public let publicKey: PublicKey
    /// The packets that the tunnel delivered, oldest first.
    public var received: [[UInt8]] = []
    /// The events of the tunnel, oldest first.
    public var events: [TraceEvent] = []
    /// Called for each event when it happens.
    public var observe: (TraceEvent) -> Void = { _ in }
    /// Whether the tunnel acts as under load, so that it requires cookies.
    public var isUnderLoad: Bool {
        get { tunnel.isForcedUnderLoad }
        set { tunnel.isForcedUnderLoad = newValue }
    }
    /// The offset of the host's monotonic clock from the network's time, in nanoseconds.
    public var clockOffset: Int64 = 0
    /// The offset of the host's wall clock from the network's time, in seconds.
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

    /// The readings of the host's clocks.
    public var now: Moment {
        let time = Self.shift(network.time.nanoseconds, by: clockOffset)
        let wall = network.time.nanoseconds
        return Moment(
            instant: ObservedInstant(nanoseconds: time),
            wall: WallTime(
                seconds: 1_700_000_000 + Int64(wall / 1_000_000_000) + wallOffset,
                nanoseconds: UInt32(wall % 1_000_000_000)))
    }

    /// The time of the network at which the tunnel's next timer is due.
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

    /// Adds or changes a peer. Properties that are nil stay unchanged.
    ///
    /// - Parameters:
    ///   - other: its public key.
    ///   - allowedIPs: prefixes to add, such as `10.0.0.2/32`.
    ///   - endpoint: the outer address. Without one, the peer has to initiate.
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

    /// Brings the tunnel up.
    public func bringUp() {
        tunnel.bringUp(now: now)
        collect()
    }

    /// Takes the tunnel down.
    public func takeDown() {
        tunnel.takeDown()
        collect()
    }

    /// Moves the host to another outer address, like a phone that changes networks.
    public func move(to address: SocketAddress) {
        self.address = address
    }

    /// The state of a peer in this host's tunnel.
    public func snapshot(of other: Host) -> PeerSnapshot? {
        tunnel.peer(other.publicKey)
    }

    // MARK: Packets

    /// Sends a packet into the tunnel.
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

    /// Handles due timers of the tunnel. The network calls this at ``nextTimeout``.
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
        // Offsets are in bounds.
        (0..<byteCount).map { unsafe unsafeLoad(fromByteOffset: $0, as: UInt8.self) }.hexadecimal
    }
}

extension Sequence<UInt8> {
    /// Two hexadecimal digits for each byte.
    public var hexadecimal: String {
        map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
