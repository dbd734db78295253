// swift-tools-version: 6.2
import PackageDescription

/// For all Swift targets: warnings are errors, and each unsafe expression is marked.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableExperimentalFeature("Lifetimes"),
]

/// What only the daemon needs. A package that embeds `WireGuard` leaves it out with `traits: []`.
let daemonOnly = TargetDependencyCondition.when(traits: ["Daemon"])

/// The commit for `--version`; scripts/build sets it.
let commit = Context.environment["SWIREGUARD_COMMIT"]

/// Imports point in one direction:
///
///     swireguard-go ─▶ WireGuardDaemon ─▶ Engine ─▶ WireGuard ─▶ WireGuardCrypto ─▶ CSodium, CBlake2,
///                            │               │           └─────▶ Packets           CLanes, CIPsecMB
///                            └───────────────┴─▶ LinuxIO ─▶ CLinux, Packets
///
/// `WireGuard`, `WireGuardCrypto` and `Packets` import no clock, no socket and no Glibc.
let package = Package(
    name: "swireguard",
    products: [
        .executable(name: "swireguard-go", targets: ["swireguard-go"]),
        .library(name: "WireGuard", targets: ["WireGuard"]),
        .library(name: "WireGuardTestSupport", targets: ["WireGuardTestSupport"]),
    ],
    traits: [
        .trait(
            name: "Daemon",
            description: "The daemon swireguard-go, with swift-log and swift-argument-parser."),
        .default(enabledTraits: ["Daemon"]),
    ],
    // Ranges, for packages that depend on this one. scripts/lib/pin-dependencies pins our own builds.
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    ],
    targets: [
        .systemLibrary(
            name: "CSodium", pkgConfig: "libsodium", providers: [.apt(["libsodium-dev"])]),
        .systemLibrary(name: "CBlake2", pkgConfig: "libb2", providers: [.apt(["libb2-dev"])]),
        // ChaCha20-Poly1305 with SIMD, for batches of packets. Without code on other machines than x86-64.
        .target(name: "CLanes"),
        // Without code, and CIPsecMBLibrary cannot be imported, unless libipsec-mb-dev is installed.
        .target(name: "CIPsecMB"),
        .systemLibrary(name: "CIPsecMBLibrary", providers: [.apt(["libipsec-mb-dev"])]),
        .target(name: "CLinux"),
        .target(
            name: "CVersion",
            cSettings: commit.map { [.define("SWIREGUARD_COMMIT", to: $0)] } ?? []),

        .target(name: "Packets", swiftSettings: settings),
        .target(
            name: "WireGuardCrypto",
            dependencies: ["CSodium", "CBlake2", "CLanes", "CIPsecMB", "CIPsecMBLibrary"],
            swiftSettings: settings),
        .target(
            name: "WireGuard", dependencies: ["WireGuardCrypto", "Packets"],
            swiftSettings: settings),
        .target(
            name: "WireGuardTestSupport", dependencies: ["WireGuard"], swiftSettings: settings),
        .target(name: "LinuxIO", dependencies: ["CLinux", "Packets"], swiftSettings: settings),
        // Only Engine/Linux imports LinuxIO (scripts/lib/check-imports).
        .target(
            name: "Engine", dependencies: ["WireGuard", "Packets", "LinuxIO"],
            swiftSettings: settings),
        .target(
            name: "WireGuardDaemon",
            dependencies: [
                "Engine", "WireGuard", "LinuxIO",
                .product(name: "Logging", package: "swift-log", condition: daemonOnly),
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "swireguard-go",
            dependencies: [
                "WireGuardDaemon", "LinuxIO", "CVersion",
                .product(
                    name: "ArgumentParser", package: "swift-argument-parser",
                    condition: daemonOnly),
            ],
            swiftSettings: settings),

        // The other end of scripts/scale. Not a product.
        .executableTarget(
            name: "crowd",
            dependencies: ["WireGuard", "WireGuardCrypto", "Packets", "LinuxIO"],
            path: "Benchmarks/Crowd", swiftSettings: settings),

        .testTarget(name: "PacketsTests", dependencies: ["Packets"], swiftSettings: settings),
        .testTarget(
            name: "WireGuardCryptoTests", dependencies: ["WireGuardCrypto"],
            swiftSettings: settings),
        .testTarget(
            name: "WireGuardTests",
            dependencies: [
                "WireGuard", "WireGuardCrypto", "Packets", "WireGuardTestSupport", "LinuxIO",
            ],
            swiftSettings: settings),
        .testTarget(
            name: "WireGuardDaemonTests",
            dependencies: [
                "WireGuardDaemon", "Engine", "WireGuard", "LinuxIO", "Packets",
                .product(name: "Logging", package: "swift-log", condition: daemonOnly),
            ],
            swiftSettings: settings),
        .testTarget(
            name: "EngineTests",
            dependencies: ["Engine", "WireGuard", "WireGuardTestSupport", "LinuxIO", "Packets"],
            swiftSettings: settings),
        // Replaces some system calls in the tests that link it.
        .target(name: "CFaults", path: "Tests/CFaults"),
        .testTarget(
            name: "LinuxIOTests", dependencies: ["LinuxIO", "CLinux", "CFaults"],
            swiftSettings: settings),
    ]
)

// Only with SWIREGUARD_BENCHMARKS=1, so that other builds do not fetch their dependencies. They are
// targets of this package because they measure code with `package` access.
if Context.environment["SWIREGUARD_BENCHMARKS"] == "1" {
    package.dependencies.append(
        .package(url: "https://github.com/ordo-one/benchmark", exact: "1.38.1", traits: []))
    package.targets.append(
        .executableTarget(
            name: "PartsBenchmark",
            dependencies: [
                "WireGuard", "WireGuardCrypto", "Packets",
                .product(name: "Benchmark", package: "benchmark"),
            ],
            path: "Benchmarks/PartsBenchmark",
            swiftSettings: [.swiftLanguageMode(.v6), .enableExperimentalFeature("Lifetimes")],
            plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")]))
}

// Only with SWIREGUARD_DOCUMENTATION=1, for the same reason. `swift package generate-documentation` leaves
// out re-exported types; scripts/lib/documentation includes them and needs no plugin.
if Context.environment["SWIREGUARD_DOCUMENTATION"] == "1" {
    package.dependencies.append(
        .package(url: "https://github.com/swiftlang/swift-docc-plugin", exact: "1.5.0"))
}
