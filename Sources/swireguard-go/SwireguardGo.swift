import ArgumentParser
import LinuxIO
import WireGuardDaemon

/// The command `swireguard-go [-f|--foreground] INTERFACE`, compatible with wireguard-go.
@main
struct SwireguardGo: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "swireguard-go",
        abstract: "Create a WireGuard interface in userspace.",
        discussion: """
            Returns when the interface and its configuration socket exist; then configure it with `wg` \
            and `ip`. The daemon exits on SIGINT, SIGTERM and `ip link del INTERFACE`, and when its \
            socket is deleted.

            Environment:
              LOG_LEVEL=LEVEL            verbose, debug, info (default), error or silent
              WG_PROCESS_FOREGROUND=1    the same as --foreground
              WG_TUN_FD=N                use this open TUN device
              WG_UAPI_FD=N               use this open listening socket
              WG_WORKERS=N               number of threads that process packets
              WG_AEAD=NAME               encryption code: lanes (our SIMD code for AVX-512
                                         or AVX2), lanes-avx2, ipsec-mb or sodium
              WG_TUN_OFFLOAD=off, WG_TUN_USO=off, WG_UDP_GSO=off, WG_UDP_GRO=off
                                         disable an offload
            """,
        version: "swireguard-go \(Version.description)"
    )

    @Flag(name: [.customShort("f"), .long], help: "Stay in the foreground.")
    var foreground = false

    @Option(help: ArgumentHelp("Directory of the configuration socket.", valueName: "directory"))
    var socketDirectory = Settings.defaultSocketDirectory

    @Argument(
        help: "The name of the interface, at most 15 bytes.",
        transform: { text in
            // Linux allows the name "-", but it is most likely an incomplete flag.
            guard text != "-", let name = InterfaceName(text) else {
                throw ValidationError(
                    "\"\(text)\" is not a valid interface name: 1 to 15 bytes, not \".\" or \"..\", without \"/\", \":\", \"%\" or white space."
                )
            }
            return name
        })
    var interface: InterfaceName

    /// Parses the usual command lines itself: the reflection in ArgumentParser takes 20 % of the time until
    /// the interface exists. `--version` alone also prints what seals packets.
    static func main() {
        if CommandLine.arguments.dropFirst() == ["--version"] {
            print("\(configuration.version)\n\nPackets are sealed by \(Settings.aeadName).")
            return
        }
        guard let (interface, foreground) = usual(CommandLine.arguments.dropFirst()) else {
            return main(nil)
        }
        do {
            try run(
                interface, foreground: foreground, socketDirectory: Settings.defaultSocketDirectory)
        } catch {
            exit(withError: error)
        }
    }

    /// `[-f|--foreground] INTERFACE`, or nil for other command lines and invalid names.
    private static func usual(
        _ arguments: ArraySlice<String>
    ) -> (interface: InterfaceName, foreground: Bool)? {
        guard let name = arguments.last, !name.hasPrefix("-"), let interface = InterfaceName(name)
        else { return nil }
        switch arguments.count {
        case 1: return (interface, false)
        case 2 where ["-f", "--foreground"].contains(arguments.first): return (interface, true)
        default: return nil
        }
    }

    func run() throws {
        try Self.run(interface, foreground: foreground, socketDirectory: socketDirectory)
    }

    private static func run(
        _ interface: InterfaceName, foreground: Bool, socketDirectory: String
    ) throws {
        let settings: Settings
        do throws(SettingsError) {
            settings = try Settings(
                interface: interface, foreground: foreground, socketDirectory: socketDirectory)
        } catch {
            throw ValidationError("\(error).")
        }
        guard runDaemon(settings) == .ended else { throw ExitCode.failure }
    }
}
