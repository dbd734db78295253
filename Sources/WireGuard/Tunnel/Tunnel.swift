import Packets
import Synchronization
import WireGuardCrypto

/// A whole WireGuard interface as a value machine: packets and datagrams go in, datagrams and packets
/// come out. It has no socket, no clock and no thread; whoever owns it brings those.
///
/// Inputs are the methods that begin with `handle`, and the configuration; each is told what time it
/// is. After any of them take the outputs, ``nextDatagram()`` and ``nextPacket()``, until both are
/// nil, and see to it that ``handleTimeout(now:)`` is called at ``nextTimeout``:
///
///     let tunnel = Tunnel()
///     try tunnel.configure(
///         """
///         private_key=…64 digits…
///         public_key=…64 digits…
///         endpoint=192.0.2.1:51820
///         allowed_ip=10.0.0.0/24
///         """, now: clock.now)
///     tunnel.bringUp(now: clock.now)
///     while true {
///         switch wait(for: [tun, socket], until: tunnel.nextTimeout) {
///         case .packet(let bytes):
///             tunnel.handlePacket(bytes, now: clock.now)
///         case .datagram(let bytes, let remote):
///             tunnel.handleDatagram(bytes, from: remote, now: clock.now)
///         case .timeout:
///             tunnel.handleTimeout(now: clock.now)
///         }
///         while let datagram = tunnel.nextDatagram() { socket.send(datagram.bytes, to: datagram.remote) }
///         while let packet = tunnel.nextPacket() { tun.write(packet) }
///     }
///
/// One thread at a time calls it. A packet is a whole IPv4 or IPv6 packet, a datagram the payload of
/// one UDP datagram. What cannot be carried is dropped and counted, see ``drops(_:)``; nothing that
/// comes in is an error.
public final class Tunnel {
    let device: Device
    private var lanes: SinglePacketPath
    private var datagrams = Outputs<Datagram>()
    private var packets = Outputs<[UInt8]>()
    private var events = Outputs<TraceEvent>()

    /// A datagram to send. Its traffic class holds the ECN bits of the packet inside, or is 0x88 for a
    /// handshake message.
    public typealias Datagram = UDPTransmit<[UInt8]>

    /// Makes an interface that is down and has neither a key nor peers.
    ///
    /// - Parameter random: where keys, indices and jitter come from; anything but the default is for
    ///   tests.
    public init(random: any RandomSource = SystemRandom()) {
        var random = random
        let seed = random.nextUInt64()
        device = Device(random: random)
        lanes = SinglePacketPath(
            shared: device.shared, gate: device.shared.makeGate(), jitterSeed: seed)
    }

    // MARK: Configuration

    /// Applies a change as a whole, or nothing of it.
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

    /// Writes the configuration, with counters and handshake times, as the answer to a `get=1`.
    public func write(to writer: inout UAPIWriter) {
        device.write(to: &writer)
    }

    /// The interface comes up: timers run, and peers with a persistent keepalive are sent to.
    public func bringUp(now: Moment) {
        device.bringUp(at: now)
        work(.needed, now: now)
    }

    /// The interface goes down: session keys are wiped, packets that wait are dropped, no timer runs.
    public func takeDown() {
        device.bringDown()
        collect()
    }

    /// Whether the interface is up.
    public var isUp: Bool { device.isUp }

    /// The longest packet, in bytes; longer ones are carried but not padded. 1420 unless set.
    public var mtu: Int {
        get { device.shared.mtu.load(ordering: .relaxed) }
        set { device.setMTU(newValue) }
    }

    /// The UDP port that the owner's socket is bound to, 0 for none. A set of `listen_port` changes
    /// it; then it is for the owner to bind that port.
    public var listenPort: UInt16 {
        get { device.shared.listenPort.load(ordering: .relaxed) }
        set { device.setListenPort(newValue) }
    }

    /// The mark that outgoing datagrams are to have, 0 for none.
    public var firewallMark: UInt32 { device.firewallMark }

    /// Routes or addresses of the system changed: sources learnt before are not used any more.
    public func forgetSources() {
        device.clearSources()
    }

    // MARK: Inputs

    /// Takes an IP packet from the application's side, to be sealed and sent to the peer that its
    /// destination belongs to.
    public func handlePacket(_ packet: RawSpan, now: Moment) {
        noteTime(now)
        let wake = lanes.seal(packet, to: &datagrams, bouncing: &packets, now: now.instant)
        work(wake, now: now)
    }

    /// Takes an IP packet from the application's side.
    public func handlePacket(_ packet: [UInt8], now: Moment) {
        // Bytes have no padding.
        handlePacket(unsafe packet.span.bytes, now: now)
    }

    /// Takes a datagram from the network.
    ///
    /// - Parameters:
    ///   - datagram: its payload.
    ///   - remote: where it came from.
    ///   - source: the local end that it came to, which the answers will leave from.
    ///   - trafficClass: its TOS or traffic class, whose ECN bits go on inside.
    ///   - now: the time.
    public func handleDatagram(
        _ datagram: RawSpan, from remote: SocketAddress, to source: SourceAddress? = nil,
        trafficClass: UInt8 = 0, now: Moment
    ) {
        let message = UDPArrival(
            bytes: SegmentRange(), remote: remote, source: source, trafficClass: trafficClass)
        noteTime(now)
        let wake = lanes.open(datagram, message, to: &packets, now: now.instant)
        work(wake, now: now)
    }

    /// Takes a datagram from the network.
    public func handleDatagram(
        _ datagram: [UInt8], from remote: SocketAddress, to source: SourceAddress? = nil,
        trafficClass: UInt8 = 0, now: Moment
    ) {
        handleDatagram(
            // Bytes have no padding.
            unsafe datagram.span.bytes, from: remote, to: source, trafficClass: trafficClass,
            now: now)
    }

    /// Does what is due; to be called at ``nextTimeout``, earlier or later does no harm.
    public func handleTimeout(now: Moment) {
        work(.needed, now: now)
    }

    /// The lanes and the device are one thread here: what time it is, all of them know from the first.
    private func noteTime(_ now: Moment) {
        device.steady(now.instant)
    }

    /// Lets the device work if a packet gave it work; here the caller is the control thread too.
    private func work(_ wake: Wake, now: Moment) {
        if wake == .needed {
            while device.handleWork(at: now) {}
        }
        collect()
    }

    private func collect() {
        for datagram in device.takeDatagrams() {
            var datagram = datagram
            datagram.peer = nil
            datagrams.append(datagram)
        }
        for event in device.takeEvents() { events.append(event) }
    }

    // MARK: Outputs

    /// When ``handleTimeout(now:)`` is to be called, nil for not at all.
    public var nextTimeout: ObservedInstant? { device.nextDeadline }

    /// The next datagram to send, nil if there is none.
    public func nextDatagram() -> Datagram? {
        datagrams.next()
    }

    /// The next packet for the application's side: one that a peer sent, or an ICMP error about one
    /// that no peer takes.
    public func nextPacket() -> [UInt8]? {
        packets.next()
    }

    // MARK: Observation

    /// What is known of a peer, with its counters; nil if there is no such peer.
    public func peer(_ publicKey: PublicKey) -> PeerSnapshot? {
        device.peersByKey[publicKey].map { device.snapshot(of: $0) }
    }

    /// The keys of all peers, in the order in which they were added.
    public var peers: [PublicKey] { device.orderedPeers().map(\.publicKey) }

    /// How many packets and datagrams went no further for a reason.
    public func drops(_ reason: DropReason) -> UInt64 {
        device.drops(reason)
    }

    /// Whether ``nextEvent()`` is told what happens.
    public var isTracing: Bool {
        get { device.isTracing }
        set { device.isTracing = newValue }
    }

    /// The next thing that happened, nil if there is none. While ``isTracing`` someone has to ask,
    /// as events are kept until then.
    public func nextEvent() -> TraceEvent? {
        events.next()
    }

    /// Whether it is under load whatever waits, for tests.
    package var isForcedUnderLoad: Bool {
        get { device.load.isForced }
        set { device.load.isForced = newValue }
    }
}
