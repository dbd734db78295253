import LinuxIO
import Logging
import Testing
import WireGuard

@testable import WireGuardDaemon

@Suite("Start")
struct AEADCheckTests {
    private let sink = RecordingSink()

    init() throws {
        try #require(Cryptography.isReady)
    }

    @Test("the implementation in use is logged")
    func used() throws {
        try AEADCheck { _ in nil }.run(.sodium, log: sink.logger())
        let name = AEADImplementation.sodium.nameAndVersion
        #expect(sink.lines == ["DEBUG: (wgtest) packets are sealed by \(name)"])
    }

    @Test("the start fails if the implementation that WG_AEAD names does not work")
    func refused() {
        for obstacle in [AEADImplementation.Obstacle.notBuilt, .notStarted, .wrongAnswers] {
            #expect(throws: StartError.self) {
                try AEADCheck { _ in obstacle }.run(.lanes, log: sink.logger())
            }
        }
        #expect(sink.lines == [])
    }

    @Test(
        "without a choice, faster implementations that do not work are logged, slower ones not tested"
    )
    func fallback() throws {
        let defaults = AEADImplementation.defaults
        var tested: [AEADImplementation] = []
        let check = AEADCheck { implementation in
            tested.append(implementation)
            return implementation == defaults[0] ? .wrongAnswers : nil
        }
        try check.run(nil, log: sink.logger())
        #expect(tested == Array(defaults.prefix(2)))
        #expect(
            sink.lines.first
                == "ERROR: (wgtest) \(defaults[0].nameAndVersion) is not used: \(AEADImplementation.Obstacle.wrongAnswers)"
        )
        #expect(sink.lines.count == 2)
    }

    @Test("wrong answers are an error, a processor that lacks instructions is not")
    func levels() {
        #expect(AEADCheck.level(of: .wrongAnswers, .lanes) == .error)
        #expect(AEADCheck.level(of: .notStarted, .lanes) == .debug)
        #expect(AEADCheck.level(of: .notStarted, .ipsecMB) == .info)
        #expect(AEADCheck.level(of: .notBuilt, .ipsecMB) == nil)
    }

    @Test("a start that fails prints one line with the interface and the reason")
    func errors() throws {
        let name = try #require(InterfaceName("wg0"))
        let system = SystemError(call: "epoll_create1", code: 24)
        let errors: [(StartError, String)] = [
            (.tun(.noDriver), TunDeviceError.noDriver.description),
            (.socket(.notListening), UnixListenerError.notListening.description),
            (.system(system), "cannot start: epoll_create1: Too many open files"),
            (
                .cryptography,
                "the system has no source of random numbers (getrandom, /dev/urandom)"
            ),
            (
                .aead(.lanes, .wrongAnswers),
                "WG_AEAD=lanes cannot be used: \(AEADImplementation.Obstacle.wrongAnswers); unset WG_AEAD to use the fastest that works"
            ),
        ]
        for (error, text) in errors {
            #expect(error.message(for: name) == "swireguard-go: wg0: \(text)")
            #expect(!text.contains("\n"))
        }
    }
}
