import Glibc
import LinuxIO
import Packets
import Testing
import WireGuard

@testable import WireGuardDaemon

/// A whole daemon in a network namespace; needs root and TUN.
@Suite("Interface", .serialized)
struct InterfaceTests {
    private static let verbose = ["LOG_LEVEL": "verbose", "WG_WORKERS": "2"]

    @Test("it follows its link up and down, and ends when the link is deleted")
    func link() throws {
        try RunningDaemon.inNewNamespace {
            let daemon = try RunningDaemon(environment: Self.verbose)
            _ = try daemon.connect()
            try RunningDaemon.ip("link set wgt0 up")
            #expect(daemon.waits(for: "the interface is up, listening on port"))
            try RunningDaemon.ip("link set wgt0 mtu 1300")
            try RunningDaemon.ip("link set wgt0 down")
            #expect(daemon.waits(for: "the interface is down"))
            try RunningDaemon.ip("link del wgt0")
            #expect(daemon.waitForEnd() == .ended)
            #expect(daemon.waits(for: "ending: the interface was deleted"))
            // Its socket file is removed.
            #expect(unsafe access(daemon.socketPath, F_OK) != 0)
        }
    }

    @Test("it ends when its socket file is deleted")
    func socketFile() throws {
        try RunningDaemon.inNewNamespace {
            let daemon = try RunningDaemon()
            let client = try daemon.connect()
            // Once it answers, it watches the file.
            #expect(daemon.request("get=1\n\n", on: client) == "errno=0\n\n")
            _ = unsafe unlink(daemon.socketPath)
            #expect(daemon.waitForEnd() == .ended)
            #expect(daemon.waits(for: "ending: the configuration socket was deleted"))
        }
    }

    @Test("it ends on SIGINT and SIGTERM", arguments: [SIGINT, SIGTERM])
    func signals(signal: Int32) throws {
        try RunningDaemon.inNewNamespace {
            let daemon = try RunningDaemon(signal: signal)
            #expect(daemon.waitForEnd() == .ended)
            #expect(daemon.waits(for: "ending: received signal \(signal)"))
            #expect(unsafe access(daemon.socketPath, F_OK) != 0)
        }
    }

    @Test("it is configured through its socket, and sends handshakes")
    func configuration() throws {
        try RunningDaemon.inNewNamespace {
            let daemon = try RunningDaemon(environment: Self.verbose)
            let client = try daemon.connect()
            let remote = try UDPSocket(.v4, port: 0)
            let free = try UDPSocketPair.bind(port: 0)[0].port
            #expect(daemon.request("get=1\n\n", on: client) == "errno=0\n\n")
            try RunningDaemon.ip("link set wgt0 up")
            #expect(daemon.waits(for: "the interface is up"))
            let key = String(repeating: "11", count: 32)
            let set = """
                set=1
                private_key=\(String(repeating: "22", count: 32))
                listen_port=\(free)
                public_key=\(key)
                endpoint=127.0.0.1:\(remote.port)
                persistent_keepalive_interval=25
                allowed_ip=10.9.0.0/24


                """
            #expect(daemon.request(set, on: client) == "errno=0\n\n")
            var received = ReceiveBatch(slots: 1)
            var buffer = PacketBuffer(
                byteCount: ReceiveBatch.bufferByteCount(slots: 1))
            let hasInitiation = eventually {
                var bytes = buffer.mutableBytes
                return received.receive(from: remote, into: &bytes) == .messages(1)
            }
            #expect(hasInitiation)
            #expect(received.length(0) == 148)
            #expect(daemon.waits(for: "sent initiation"))
            let answer = daemon.request("get=1\n\n", on: client)
            #expect(answer.contains("\nlisten_port=\(free)\n"))
            #expect(answer.contains("public_key=\(key)\n"))
            // Another port: the workers move to new sockets.
            #expect(daemon.request("set=1\nlisten_port=0\n\n", on: client) == "errno=0\n\n")
            #expect(daemon.request("set=1\nlisten_port=\(free)\n\n", on: client) == "errno=0\n\n")
            #expect(daemon.request("set=1\nfwmark=9\n\n", on: client) == "errno=0\n\n")
            // Routes of the host change.
            try RunningDaemon.ip("address add 10.8.0.1/24 dev lo")
            try RunningDaemon.ip("link del wgt0")
            #expect(daemon.waitForEnd() == .ended)
        }
    }

    @Test("an answer larger than the socket buffer is sent as it is read")
    func largeAnswer() throws {
        try RunningDaemon.inNewNamespace {
            let daemon = try RunningDaemon()
            let client = try daemon.connect()
            var set = "set=1\npublic_key=\(String(repeating: "11", count: 32))\n"
            for index in 0..<40_000 {
                set +=
                    "allowed_ip=10.\(index >> 8 & 255).\(index & 255).0/\(index >> 16 == 0 ? 24 : 25)\n"
            }
            #expect(try configure(daemon, set + "\n") == "errno=0\n\n")
            let answer = daemon.request("get=1\n\n", on: client)
            #expect(answer.count > 500_000 && answer.hasSuffix("\nerrno=0\n\n"))
            _ = unsafe unlink(daemon.socketPath)
            #expect(daemon.waitForEnd() == .ended)
        }
    }

    /// Sends a large request in pieces.
    private func configure(_ daemon: RunningDaemon, _ text: String) throws -> String {
        let client = try daemon.connect()
        let bytes = Array(text.utf8)
        var sent = 0
        while sent < bytes.count {
            // Bytes have no padding.
            switch client.write(unsafe bytes.span.bytes.extracting(sent..<bytes.count)) {
            case .bytes(let count): sent += count
            case .wouldBlock: Clock.pause(milliseconds: 1)
            case .closed, .failed: return ""
            }
        }
        return daemon.request("", on: client)
    }

    @Test("it adopts a TUN and a socket that another process opened")
    func descriptors() throws {
        try RunningDaemon.inNewNamespace {
            let tun = try TunDevice.create(try #require(InterfaceName("wgt1")))
            let directory = try TestDirectory()
            let listener = try UnixListener(path: "\(directory.path)/handed.sock")
            let daemon = try RunningDaemon(environment: [
                "WG_TUN_FD": "\(try tun.descriptor.duplicate().release())",
                "WG_UAPI_FD": "\(try listener.descriptor.duplicate().release())",
                "WG_UDP_GSO": "off",
            ])
            try RunningDaemon.ip("link set wgt1 up")
            #expect(daemon.waits(for: "(wgt0) the interface is up"))
            let client = try UnixConnection(to: "\(directory.path)/handed.sock")
            let answer = daemon.request("get=1\n\n", on: client)
            #expect(answer.hasPrefix("listen_port=") && answer.hasSuffix("errno=0\n\n"))
            try RunningDaemon.ip("link del wgt1")
            #expect(daemon.waitForEnd() == .ended)
        }
    }

    @Test("it does not start if another link has its name")
    func nameInUse() throws {
        try RunningDaemon.inNewNamespace {
            try RunningDaemon.ip("tuntap add wgt0 mode tap")
            let daemon = try RunningDaemon()
            #expect(daemon.waitForEnd() == .failed)
        }
    }

    @Test("a second daemon of the same name does not start, and leaves the first alone")
    func secondDaemon() throws {
        try RunningDaemon.inNewNamespace {
            let first = try RunningDaemon()
            let client = try first.connect()
            let second = try RunningDaemon()
            #expect(second.waitForEnd() == .failed)
            #expect(first.request("get=1\n\n", on: client) == "errno=0\n\n")
            _ = unsafe unlink(first.socketPath)
            #expect(first.waitForEnd() == .ended)
        }
    }
}
