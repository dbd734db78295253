import LinuxIO
import Packets
import WireGuard
import WireGuardCrypto

/// Thousands of peers of one host, in one thread and behind one UDP socket.
///
/// Each member has its own key, handshakes and session, like a separate peer. The first member also pings
/// the host through its tunnel, to measure how handshakes delay packets.
struct Crowd: ~Copyable {
    let host: Host
    let members: [Member]
    let socket: UDPSocket
    let epoll: Epoll
    let timer: TimerDescriptor
    var echo = Echo()
    var received = ReceiveBatch(slots: 64)
    var sending = SendBatch(capacity: 64, family: .v4)
    var used = 0
    /// Completed handshakes since the start.
    var handshakes = 0
    /// Valid cookie replies.
    var cookies = 0
    /// Answers to handshakes that a newer one had superseded, because either end was slow.
    var late = 0
    /// Messages that a correct host does not send.
    var unexpected = 0
    /// Initiations without a response so far.
    var waiting = 0
    /// The member that renews its session next.
    var nextMember = 0
    var events = EpollEvents(capacity: 2)

    static let maximumWaiting = 64
    static let bufferByteCount = 1 << 16

    init(members count: Int, hostPort: UInt16) throws(SystemError) {
        let socket = try UDPSocket(.v4, port: 0, options: .init(receiveOffload: .disabled))
        let epoll = try Epoll()
        let timer = try TimerDescriptor()
        try epoll.add(socket.descriptor, token: 0)
        try epoll.add(timer.descriptor, token: 1)
        self.socket = socket
        self.epoll = epoll
        self.timer = timer
        var random = SystemRandom()
        let host = Host(port: hostPort)
        self.host = host
        members = (0..<count).map { _ in Member(PrivateKey(random: &random), of: host) }
    }

    /// A `set` request that configures the host for this crowd.
    ///
    /// - Parameter keepalive: in seconds. Unless it is 0, peers get endpoints, and the host initiates.
    func configuration(keepalive: Int) -> String {
        var text = "set=1\nprivate_key=\(host.privateKey)\nlisten_port=\(host.address.port)\n"
        for (number, member) in members.enumerated() {
            text += "public_key=\(member.identity.publicKey.bytes.hexadecimal)\n"
            text += "allowed_ip=\(IPAddress.v4(Host.inner(of: number)))/32\n"
            guard keepalive > 0 else { continue }
            text += "endpoint=\(IPAddress.v4(Host.outer(of: number))):\(socket.port)\n"
            text += "persistent_keepalive_interval=\(keepalive)\n"
        }
        return text + "\n"
    }
}
