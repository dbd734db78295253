import LinuxIO
import Testing
import WireGuard

@testable import WireGuardDaemon

@Suite("Settings")
struct SettingsTests {
    private func settings(
        _ environment: [String: String] = [:], foreground: Bool = false,
        directory: String = Settings.defaultSocketDirectory
    ) throws -> Settings {
        try Settings(
            interface: try #require(InterfaceName("wg0")), foreground: foreground,
            socketDirectory: directory, environment: { environment[$0] })
    }

    private func error(_ environment: [String: String]) -> SettingsError? {
        #expect(throws: SettingsError.self) { _ = try settings(environment) }
    }

    @Test("without variables everything is automatic")
    func defaults() throws {
        let settings = try settings()
        #expect(settings.interface.rawValue == "wg0")
        #expect(settings.mode == .daemon)
        #expect(settings.socketDirectory == "/var/run/wireguard")
        #expect(settings.logLevel == nil && settings.effectiveLogLevel == .info)
        #expect(settings.tunDescriptor == nil && settings.uapiDescriptor == nil)
        #expect(settings.workers == nil && settings.aead == nil)
        #expect(settings.offloads.ofTun == .all)
        #expect(settings.offloads.udpSegmentation)
        #expect(settings.offloads.receiveOffload == .enabled)
    }

    @Test("an empty variable counts as not set")
    func empty() throws {
        let settings = try settings([
            "LOG_LEVEL": "", "WG_TUN_FD": "", "WG_UAPI_FD": "", "WG_WORKERS": "", "WG_AEAD": "",
            "WG_TUN_OFFLOAD": "", "WG_PROCESS_FOREGROUND": "",
        ])
        #expect(settings.mode == .daemon && settings.logLevel == nil)
        #expect(settings.tunDescriptor == nil && settings.workers == nil)
        #expect(settings.offloads.tun)
    }

    @Test("the flag and WG_PROCESS_FOREGROUND=1 stay in the foreground")
    func foreground() throws {
        #expect(try settings(foreground: true).mode == .foreground)
        #expect(try settings(["WG_PROCESS_FOREGROUND": "1"]).mode == .foreground)
        #expect(try settings(["WG_PROCESS_FOREGROUND": "0"]).mode == .daemon)
    }

    @Test("a log level of another program does not keep the tunnel from starting")
    func logLevel() throws {
        #expect(try settings(["LOG_LEVEL": "silent"]).logLevel == .silent)
        #expect(try settings(["LOG_LEVEL": "debug"]).effectiveLogLevel == .verbose)
        #expect(try settings(["LOG_LEVEL": "warn"]).logLevel == .info)
    }

    @Test("descriptors are numbers from 0 on")
    func descriptors() throws {
        let settings = try settings(["WG_TUN_FD": "3", "WG_UAPI_FD": "0"])
        #expect(settings.tunDescriptor == 3 && settings.uapiDescriptor == 0)
        for value in ["-1", "x", "3 ", "99999999999"] {
            #expect(
                error(["WG_TUN_FD": value]) == .invalidVariable(name: "WG_TUN_FD", value: value))
            #expect(
                error(["WG_UAPI_FD": value]) == .invalidVariable(name: "WG_UAPI_FD", value: value)
            )
        }
    }

    @Test("WG_WORKERS is 1 to 64")
    func workers() throws {
        #expect(try settings(["WG_WORKERS": "1"]).workers == 1)
        #expect(try settings(["WG_WORKERS": "64"]).workers == 64)
        for value in ["0", "65", "two"] {
            #expect(
                error(["WG_WORKERS": value]) == .invalidVariable(name: "WG_WORKERS", value: value)
            )
        }
    }

    @Test("there is one worker per processor, up to 8, unless WG_WORKERS says otherwise")
    func workerCount() throws {
        let automatic = try settings()
        #expect(automatic.workerCount(processors: 2, isMultiQueue: true) == 2)
        #expect(automatic.workerCount(processors: 100, isMultiQueue: true) == 8)
        #expect(automatic.workerCount(processors: 100, isMultiQueue: false) == 1)
        let set = try settings(["WG_WORKERS": "20"])
        #expect(set.workerCount(processors: 2, isMultiQueue: true) == 20)
        #expect(set.workerCount(processors: 2, isMultiQueue: false) == 1)
    }

    @Test("each offload has a switch")
    func offloads() throws {
        #expect(try settings(["WG_TUN_OFFLOAD": "off"]).offloads.ofTun == [])
        #expect(try settings(["WG_TUN_USO": "0"]).offloads.ofTun == [.checksum, .segments])
        #expect(try !settings(["WG_UDP_GSO": "false"]).offloads.udpSegmentation)
        #expect(try settings(["WG_UDP_GRO": "off"]).offloads.receiveOffload == .disabled)
        for value in ["1", "on", "true"] {
            #expect(try settings(["WG_TUN_OFFLOAD": value]).offloads.tun)
        }
        for name in ["WG_TUN_OFFLOAD", "WG_TUN_USO", "WG_UDP_GSO", "WG_UDP_GRO"] {
            #expect(error([name: "no"]) == .invalidVariable(name: name, value: "no"))
        }
    }

    @Test("WG_AEAD names an implementation")
    func aead() throws {
        #expect(try settings(["WG_AEAD": "sodium"]).aead == .sodium)
        #expect(error(["WG_AEAD": "aes"]) == .invalidVariable(name: "WG_AEAD", value: "aes"))
        #expect(Settings.aeadName { $0 == "WG_AEAD" ? "sodium" : nil }.hasPrefix("sodium 1."))
        #expect(Settings.aeadName { _ in nil } == AEADImplementation.fastest.nameAndVersion)
        #expect(!Settings.aeadName.isEmpty)
    }

    @Test("a relative socket directory becomes absolute, as a daemon leaves its directory")
    func directory() throws {
        #expect(try settings(directory: "/run/x").socketDirectory == "/run/x")
        let here = try #require(Environment.workingDirectory)
        #expect(try settings(directory: "x").socketDirectory == "\(here)/x")
    }

    @Test("an error names the variable and its value")
    func description() {
        let error = SettingsError.invalidVariable(name: "WG_WORKERS", value: "x")
        #expect(
            "\(error)"
                == "the environment variable WG_WORKERS has the invalid value \"x\": correct or unset it"
        )
    }
}
