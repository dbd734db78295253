import Packets
import Synchronization
import WireGuardCrypto

/// A WireGuard interface without sockets, clocks and threads: packets and datagrams are its inputs and
/// outputs.
///
/// A packet is a whole IPv4 or IPv6 packet of the application. A datagram is the payload of one UDP
/// datagram on the network. Inputs are the `configure`, `handlePacket`, `handleDatagram` and
/// ``handleTimeout(now:)`` methods; each takes the current time as a ``Moment``. After each input, take all
/// outputs from ``nextDatagram()`` and ``nextPacket()``, and call ``handleTimeout(now:)`` at ``nextTimeout``:
///
///     let tunnel = Tunnel()
///     try tunnel.configure(
///         """
///         private_key=…64 hexadecimal digits…
///         public_key=…64 hexadecimal digits…
///         endpoint=192.0.2.1:51820
///         allowed_ip=10.0.0.0/24
///         """, now: readClocks())
///     tunnel.bringUp(now: readClocks())
///     while true {
///         switch wait(for: [tun, socket], until: tunnel.nextTimeout) {
///         case .packet(let bytes):
///             tunnel.handlePacket(bytes, now: readClocks())
///         case .datagram(let bytes, let remote):
///             tunnel.handleDatagram(bytes, from: remote, now: readClocks())
///         case .timeout:
///             tunnel.handleTimeout(now: readClocks())
///         }
///         while let datagram = tunnel.nextDatagram() { socket.send(datagram.bytes, to: datagram.remote) }
///         while let packet = tunnel.nextPacket() { tun.write(packet) }
///     }
///
/// No packet or datagram can cause an error or trap: the tunnel drops what it cannot carry and counts it,
/// see ``drops(_:)``.
///
/// A tunnel is not thread-safe. Call it from one thread at a time.
///
/// ## Topics
///
/// ### Configuration
///
/// - ``init(random:)``
/// - ``bringUp(now:)``
/// - ``takeDown()``
/// - ``wipeSessions()``
/// - ``isUp``
/// - ``mtu``
/// - ``listenPort``
/// - ``firewallMark``
/// - ``checkSources(_:)``
/// - ``forgetSources()``
///
/// ### Inputs and outputs
///
/// - ``handleTimeout(now:)``
/// - ``nextTimeout``
/// - ``nextDatagram()``
/// - ``nextPacket()``
/// - ``Datagram``
///
/// ### State
///
/// - ``peers``
/// - ``peer(_:)``
/// - ``drops(_:)``
/// - ``write(to:)``
/// - ``isTracing``
/// - ``nextEvent()``
public final class Tunnel {
    let device: Device
    private var packetPath: SinglePacketPath
    private var datagrams = Outputs<Datagram>()
    private var packets = Outputs<[UInt8]>()
    private var events = Outputs<TraceEvent>()

    /// A datagram to send. Its traffic class holds the ECN bits of the packet inside, or is 0x88 for a
    /// handshake message.
    public typealias Datagram = UDPTransmit<[UInt8]>

    /// Makes an interface that is down, without a private key and without peers.
    ///
    /// - Parameter random: the source of keys, indices and jitter. Pass another one only in tests.
    public init(random: any RandomSource = SystemRandom()) {
        var random = random
        let seed = random.nextUInt64()
        device = Device(random: random)
        packetPath = SinglePacketPath(
            shared: device.shared, gate: device.shared.makeGate(), jitterSeed: seed)
    }

    // MARK: Configuration

    /// Applies a change, completely or not at all.
    ///
    /// If the change sets a listen port, bind the socket to ``listenPort`` afterwards.
    ///
    /// - Parameters:
    ///   - change: the settings to change; others stay as they are.
    ///   - now: the current time.
    /// - Throws: ``ConfigurationError`` if the change would exceed a limit. Nothing has changed then.
    public func configure(
        _ change: borrowing ConfigurationChange, now: Moment
    ) throws(ConfigurationError) {
        try device.check(change)
        device.apply(change, at: now)
        if let port = change.listenPort { device.setListenPort(port) }
        work(.needed, now: now)
    }

    /// Applies the lines of a set of the configuration protocol, as `wg set` sends them, with or without
    /// `set=1` in front.
    ///
    /// A copy of the text is wiped afterwards; the string itself stays in the caller's memory. To be able
    /// to wipe it, pass its bytes.
    ///
    /// - Throws: the first line that is invalid, and why; nothing has changed then.
    public func configure(_ text: String, now: Moment) throws(ConfigurationError) {
        try configure(ConfigurationChange(parsing: text), now: now)
    }

    /// Applies the lines of a set, like ``configure(_:now:)-(String,_)``.
    public func configure(_ text: RawSpan, now: Moment) throws(ConfigurationError) {
        try configure(ConfigurationChange(parsing: text), now: now)
    }

    /// Writes the configuration, the counters and the handshake times, as the answer to `get=1` of the
    /// configuration protocol.
    ///
    /// The answer contains the private key and the preshared keys.
    public func write(to writer: inout UAPIWriter) {
        device.write(to: &writer)
    }

    /// Brings the interface up: starts the timers, and sends to peers that have a persistent keepalive.
    public func bringUp(now: Moment) {
        device.bringUp(at: now)
        work(.needed, now: now)
    }

    /// Takes the interface down: wipes the session keys, drops staged packets and stops the timers. The
    /// configuration stays.
    public func takeDown() {
        device.bringDown()
        collect()
    }

    /// Wipes the keys of all sessions and pending handshakes. Configuration, counters and staged packets
    /// stay; the next packet to a peer starts a handshake.
    ///
    /// Call it before the machine hibernates, and before and after a snapshot of its memory. If two copies
    /// of one tunnel ran, they would seal different packets with the same key and counter.
    public func wipeSessions() {
        device.wipeSessions()
        collect()
    }

    /// Whether the interface is up.
    public var isUp: Bool { device.isUp }

    /// The MTU of the interface in bytes, 1420 by default. Padding does not exceed it; longer packets are
    /// carried too, without padding.
    public var mtu: Int {
        get { device.shared.mtu.load(ordering: .relaxed) }
        set { device.setMTU(newValue) }
    }

    /// The UDP port of the owner's socket, 0 for none.
    ///
    /// Set it after binding the socket. Configuring `listen_port` changes it too; the owner must then bind
    /// the new port.
    public var listenPort: UInt16 {
        get { device.shared.listenPort.load(ordering: .relaxed) }
        set { device.setListenPort(newValue) }
    }

    /// The firewall mark for the owner's socket (`SO_MARK` on Linux), 0 for none.
    public var firewallMark: UInt32 { device.firewallMark }

    /// Asks for each peer whether datagrams may still be sent from the local address that its last message
    /// arrived at. Call it when routes, policy rules, links or addresses of the system change.
    ///
    /// A source that may not be used is left out of datagrams until another one is learnt, or until a later
    /// call accepts it. As in the kernel, events that do not concern a source are no reason to drop it: the
    /// peer may accept datagrams from no other address.
    ///
    /// - Parameter isUsable: whether the source may be used for the remote: it is an address of this system,
    ///   and for IPv4, the route from it to the remote leaves by its interface.
    public func checkSources(_ isUsable: (SocketAddress, SourceAddress) -> Bool) {
        device.recheckSources()
        for peer in device.orderedPeers() {
            guard let check = device.sourceCheck(of: peer), let source = check.source else {
                continue
            }
            device.finish(check, SourceVerdict(isUsable: isUsable(check.remote, source)))
        }
    }

    /// Forgets the local source addresses of all peers, until their next messages arrive.
    ///
    /// Call it when the owner's socket is replaced. If only routes or addresses change, prefer
    /// ``checkSources(_:)``.
    public func forgetSources() {
        device.forgetSources()
    }

    // MARK: Inputs

    /// Takes a packet from the application, and seals it for the peer whose allowed IPs contain its
    /// destination.
    ///
    /// Without a session, the packet is staged and a handshake starts. Without a peer or an endpoint, it
    /// is dropped, and ``nextPacket()`` returns an ICMP error, at a limited rate.
    ///
    /// - Parameters:
    ///   - packet: a whole IPv4 or IPv6 packet.
    ///   - now: the current time.
    public func handlePacket(_ packet: RawSpan, now: Moment) {
        noteTime(now)
        let wake = packetPath.seal(packet, to: &datagrams, bouncing: &packets, now: now.instant)
        work(wake, now: now)
    }

    /// Takes a packet from the application, like ``handlePacket(_:now:)-(RawSpan,_)``.
    public func handlePacket(_ packet: [UInt8], now: Moment) {
        // Bytes have no padding.
        handlePacket(unsafe packet.span.bytes, now: now)
    }

    /// Takes a datagram from the network: opens it if it carries a packet, or handles its handshake message.
    ///
    /// - Parameters:
    ///   - datagram: the UDP payload.
    ///   - remote: the address and port that it came from.
    ///   - source: the local address that it arrived at. Datagrams to this peer are then sent from it.
    ///   - trafficClass: its TOS or traffic class. The ECN bits are copied to the packet inside (RFC 6040).
    ///   - now: the current time.
    public func handleDatagram(
        _ datagram: RawSpan, from remote: SocketAddress, to source: SourceAddress? = nil,
        trafficClass: UInt8 = 0, now: Moment
    ) {
        let message = UDPArrival(
            bytes: SegmentRange(), remote: remote, source: source, trafficClass: trafficClass)
        noteTime(now)
        let wake = packetPath.open(datagram, message, to: &packets, now: now.instant)
        work(wake, now: now)
    }

    /// Takes a datagram from the network, like ``handleDatagram(_:from:to:trafficClass:now:)-(RawSpan,_,_,_,_)``.
    public func handleDatagram(
        _ datagram: [UInt8], from remote: SocketAddress, to source: SourceAddress? = nil,
        trafficClass: UInt8 = 0, now: Moment
    ) {
        handleDatagram(
            // Bytes have no padding.
            unsafe datagram.span.bytes, from: remote, to: source, trafficClass: trafficClass,
            now: now)
    }

    /// Does what is due: sends keepalives and handshakes, wipes old keys.
    ///
    /// Call it at ``nextTimeout``. A call at any other time is harmless.
    public func handleTimeout(now: Moment) {
        work(.needed, now: now)
    }

    /// Passes a reading to the device too, so that it and the packet path notice a clock step together.
    private func noteTime(_ now: Moment) {
        device.steady(now.instant)
    }

    /// Does the device's work if there is some: the caller is the control thread too.
    private func work(_ wake: Wake, now: Moment) {
        if wake == .needed {
            while device.handleWork(at: now) {}
        }
        collect()
    }

    private func collect() {
        // The owner tells about routes in `checkSources`.
        for check in device.takeSourceChecks() {
            device.finish(check, SourceVerdict(isUsable: true))
        }
        for datagram in device.takeDatagrams() {
            var datagram = datagram
            datagram.peer = nil
            datagrams.append(datagram)
        }
        for event in device.takeEvents() { events.append(event) }
    }

    // MARK: Outputs

    /// When to call ``handleTimeout(now:)``, as a reading of the clock of ``Moment/instant``; nil if no
    /// timer is pending.
    ///
    /// Read it again after each input.
    public var nextTimeout: ObservedInstant? { device.nextDeadline }

    /// Takes the next datagram to send, nil if there is none.
    public func nextDatagram() -> Datagram? {
        datagrams.next()
    }

    /// Takes the next packet for the application, nil if there is none: a packet from a peer, or an ICMP
    /// error for a packet that could not be routed.
    public func nextPacket() -> [UInt8]? {
        packets.next()
    }

    // MARK: State

    /// The configuration and the counters of a peer, nil if there is no such peer.
    public func peer(_ publicKey: PublicKey) -> PeerSnapshot? {
        device.peersByKey[publicKey].map { device.snapshot(of: $0) }
    }

    /// The public keys of all peers, in the order they were added.
    public var peers: [PublicKey] { device.orderedPeers().map(\.publicKey) }

    /// The number of packets and datagrams that were dropped for a reason.
    public func drops(_ reason: DropReason) -> UInt64 {
        device.drops(reason)
    }

    /// Whether events are recorded for ``nextEvent()``; false by default.
    public var isTracing: Bool {
        get { device.isTracing }
        set { device.isTracing = newValue }
    }

    /// Takes the next recorded event, nil if there is none.
    ///
    /// Events are kept until they are taken, so take them regularly while ``isTracing`` is true.
    public func nextEvent() -> TraceEvent? {
        events.next()
    }

    /// Makes the device behave as under load, for tests.
    package var isForcedUnderLoad: Bool {
        get { device.load.isForced }
        set { device.load.isForced = newValue }
    }
}
