import ArgumentParser
import LinuxIO
import WireGuardDaemon

/// The command: `swireguard-go [-f|--foreground] INTERFACE`, as wireguard-go has it.
@main
struct SwireguardGo: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "swireguard-go",
        abstract: "Make a WireGuard interface in userspace.",
        discussion: """
            Returns when the interface and its configuration socket are there; then configure it with \
            `wg` and `ip`. It ends on SIGINT, SIGTERM, `ip link del INTERFACE`, and when its socket is \
            deleted.

            Environment:
              LOG_LEVEL=verbose|debug|info|error|silent   what is logged (info)
              WG_PROCESS_FOREGROUND=1                     the same as --foreground
              WG_TUN_FD=N, WG_UAPI_FD=N                   a TUN, a listening socket opened beforehand
              WG_WORKERS=N                                threads that carry packets
              WG_AEAD=lanes|lanes-avx2|ipsec-mb|sodium    what seals packets (the fastest that runs here)
              WG_TUN_OFFLOAD, WG_TUN_USO, WG_UDP_GSO, WG_UDP_GRO=off   do without an offload
            """,
        version: "swireguard-go \(Version.description)"
    )

    @Flag(name: [.customShort("f"), .long], help: "Stay in the foreground.")
    var foreground = false

    @Option(help: ArgumentHelp("Where the configuration socket is made.", valueName: "directory"))
    var socketDirectory = Settings.defaultSocketDirectory

    @Argument(
        help: "The name of the interface to make, at most 15 bytes.",
        transform: { text in
            // A lone dash is a flag that was forgotten, although Linux would take it.
            guard text != "-", let name = InterfaceName(text) else {
                throw ValidationError(
                    "\"\(text)\" is no name for an interface: 1 to 15 bytes, not \".\" or \"..\", without \"/\", \":\", \"%\" and white space."
                )
            }
            return name
        })
    var interface: InterfaceName

    /// The usual command lines are read here: the reflection with which they are parsed otherwise is a
    /// fifth of the time until the interface is there. `--version` alone says more than the number.
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

    /// `[-f|--foreground] INTERFACE`; nil for everything else, and for what is no name.
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
