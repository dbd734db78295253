import LinuxIO
import Packets
import WireGuard
import WireGuardCrypto

/// Thousands of peers behind one UDP socket, in one thread: each has its own key, handshakes and
/// session with the host, for which they are as real as any.
///
/// The first member also pings the host through its tunnel, which tells how the handshakes of all
/// the others weigh on packets.
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
    /// Sessions that were made since the start.
    var handshakes = 0
    /// How often the host asked for more than an address before it went on.
    var cookies = 0
    /// Answers to handshakes that had been given up for new ones: either end was slow.
    var late = 0
    /// Messages that a crowd does not get from a host that works well.
    var unexpected = 0
    /// Initiations that wait for a response.
    var waiting = 0
    /// Who renews its session next.
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

    /// The text of a set that makes the host what the crowd takes it for.
    ///
    /// - Parameter keepalive: in seconds; unless 0, the host is told where its peers are, and begins.
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
