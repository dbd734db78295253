import Glibc
import LinuxIO
import Packets
import Testing

@Suite("The configuration socket", .serialized)
struct UnixListenerTests {
    @Test("directory and file have their modes, and no other files are left")
    func modes() throws {
        try Host.withDirectory { root in
            let directory = "\(root)/wireguard"
            let before = umask(0o077)
            defer { umask(before) }
            let listener = try UnixListener(path: "\(directory)/io0.sock")
            #expect(try Self.mode(directory) == 0o40755)
            #expect(try Self.mode("\(directory)/io0.sock") == 0o140600)
            let files = try Host.run("ls -A \(directory)")
            #expect(files == "io0.sock\n")
            _ = consume listener
            let rest = try Host.run("ls -A \(directory)")
            #expect(rest.isEmpty)
        }
    }

    @Test("client and server exchange bytes, and a close is reported")
    func dialogue() throws {
        try Host.withDirectory { root in
            let path = "\(root)/io0.sock"
            let listener = try UnixListener(path: path)
            let none = try listener.accept() == nil
            #expect(none)
            let client = try UnixConnection(to: path)
            guard let server = try listener.accept() else {
                Issue.record("no client was accepted")
                return
            }
            var buffer = PacketBuffer(byteCount: 64)
            var bytes = buffer.mutableBytes
            let early = server.read(into: &bytes, count: 64)
            #expect(early == .wouldBlock)
            bytes.store(byte: 7, at: 0)
            bytes.store(byte: 9, at: 1)
            let written = client.write(bytes.bytes.extracting(0..<2))
            #expect(written == .bytes(2))
            let read = server.read(into: &bytes, at: 10, count: 54)
            #expect(read == .bytes(2))
            #expect(bytes.byte(at: 10) == 7 && bytes.byte(at: 11) == 9)

            var result = UnixConnection.Result.bytes(0)
            while case .bytes = result { result = server.write(bytes.bytes) }
            #expect(result == .wouldBlock)
            _ = consume client
            let isClosed = Host.eventually { server.write(bytes.bytes) == .closed }
            #expect(isClosed)
            let end = server.read(into: &bytes, count: 64)
            #expect(end == .closed)
        }
    }

    @Test("a file without a listener is replaced")
    func stale() throws {
        try Host.withDirectory { root in
            let path = "\(root)/io0.sock"
            let other = "\(root)/other.sock"
            // Renamed, so that its owner does not remove it.
            _ = try {
                _ = try UnixListener(path: path)
                let old = try UnixListener(path: other)
                try Host.run("mv \(other) \(path)")
                _ = consume old
            }()
            let isStale = Host.eventually {
                do throws(SystemError) {
                    _ = try UnixConnection(to: path)
                    return false
                } catch {
                    return error == SystemError(call: "connect", code: ECONNREFUSED)
                }
            }
            #expect(isStale)
            let listener = try UnixListener(path: path)
            _ = try UnixConnection(to: path)
            _ = consume listener
        }
    }

    @Test("a file with a listener is in use, even if the backlog is full")
    func live() throws {
        try Host.withDirectory { root in
            let path = "\(root)/io0.sock"
            let listener = try UnixListener(path: path)
            #expect(throws: UnixListenerError.inUse(path)) { _ = try UnixListener(path: path) }
            var waiting: [Int32] = []
            defer { for client in waiting { _ = FileDescriptor(owning: client) } }
            while let client = try? UnixConnection(to: path) {
                waiting.append(try client.descriptor.duplicate().release())
            }
            #expect(waiting.count > 100)
            #expect(throws: UnixListenerError.inUse(path)) { _ = try UnixListener(path: path) }
            #expect(try Self.mode(path) == 0o140600)
            _ = consume listener
        }
    }

    @Test("a file that is not a socket is an error and stays")
    func notASocket() throws {
        try Host.withDirectory { root in
            let path = "\(root)/io0.sock"
            try Host.run("touch \(path)")
            #expect(throws: UnixListenerError.notASocket(path)) {
                _ = try UnixListener(path: path)
            }
            #expect(try Self.mode(path) & S_IFMT == S_IFREG)
        }
    }

    @Test("a path that does not fit a socket address is an error")
    func longName() throws {
        let path = "/tmp/" + String(repeating: "x", count: 110)
        #expect(throws: UnixListenerError.pathTooLong(path)) { _ = try UnixListener(path: path) }
    }

    @Test("a file that replaced the socket file is not removed")
    func replaced() throws {
        try Host.withDirectory { root in
            let path = "\(root)/io0.sock"
            let listener = try UnixListener(path: path)
            try Host.run("rm \(path)")
            let successor = try UnixListener(path: path)
            _ = consume listener
            _ = try UnixConnection(to: path)
            _ = consume successor
        }
    }

    @Test("a watch reports deletion, replacement and renaming, and nothing else")
    func watch() throws {
        try Host.withDirectory { root in
            let path = "\(root)/io0.sock"
            for change in ["rm \(path)", "mv \(path) \(path)2", "mv -f \(root)/new \(path)"] {
                let listener = try UnixListener(path: path)
                let watch = try FileWatch(path: path)
                try Host.run("touch \(root)/new")
                let client = try UnixConnection(to: path)
                _ = consume client
                try Host.run("chmod 0600 \(path)")
                let isThere = watch.drain()
                #expect(isThere)
                try Host.run(change)
                let isReported = Host.isReadable(watch.descriptor)
                #expect(isReported, "\(change)")
                let isStillThere = watch.drain()
                #expect(!isStillThere, "\(change)")
                _ = consume listener
                try Host.run("rm -f \(path)")
            }
        }
    }

    @Test("a listening socket can be adopted, other descriptors are refused")
    func adopt() throws {
        try Host.withDirectory { root in
            let path = "\(root)/io0.sock"
            let owner = try UnixListener(path: path)
            let adopted = try UnixListener(adopting: try owner.descriptor.duplicate())
            let client = try UnixConnection(to: path)
            let isThere = try adopted.accept() != nil
            #expect(isThere)
            _ = consume adopted
            #expect(try Self.mode(path) == 0o140600)
            #expect(throws: UnixListenerError.notListening) {
                _ = try UnixListener(adopting: try NetworkNamespace.current())
            }
            _ = consume client
            _ = consume owner
        }
    }

    @Test("without permission the error names the user that must own the directory")
    func permission() async throws {
        try Host.requireRoot()
        let result = await #expect(processExitsWith: .exitCode(0)) {
            let path = "/tmp/linuxio-permission-\(getpid())"
            guard unsafe mkdir(path, 0o755) == 0 else { exit(2) }
            // Only the effective user, so that the directory can be removed later.
            guard seteuid(12345) == 0 else { exit(3) }
            var error: UnixListenerError?
            do throws(UnixListenerError) {
                _ = try UnixListener(path: "\(path)/io0.sock")
            } catch let caught {
                error = caught
            }
            seteuid(0)
            unsafe rmdir(path)
            exit(error == .notPermitted(directory: path, user: 12345) ? 0 : 4)
        }
        _ = result
    }

    private static func mode(_ path: String) throws -> UInt32 {
        var status = stat()
        try #require(unsafe lstat(path, &status) == 0)
        return status.st_mode
    }
}
