// swift-tools-version: 6.2
import PackageDescription

/// What every Swift target of ours is built with: no warnings, and each unsafe expression marked.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableExperimentalFeature("Lifetimes"),
]

/// One direction of import:
///
///     swireguard-go ─▶ WireGuardDaemon ─▶ WireGuard ─▶ WireGuardCrypto ─▶ CSodium, CBlake2,
///                            │                └──────────▶ Packets           CLanes, CIPsecMB
///                            └─▶ LinuxIO ─▶ CLinux, Packets
///
/// `WireGuard`, `WireGuardCrypto` and `Packets` import no clock, no socket and no Glibc.
let package = Package(
    name: "swireguard",
    products: [
        .executable(name: "swireguard-go", targets: ["swireguard-go"]),
        .library(name: "WireGuard", targets: ["WireGuard"]),
        .library(name: "WireGuardTestSupport", targets: ["WireGuardTestSupport"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
    ],
    targets: [
        .systemLibrary(
            name: "CSodium", pkgConfig: "libsodium", providers: [.apt(["libsodium-dev"])]),
        .systemLibrary(name: "CBlake2", pkgConfig: "libb2", providers: [.apt(["libb2-dev"])]),
        // The AEAD over the packets of a batch: for x86-64, nothing on others.
        .target(name: "CLanes"),
        // Empty, and nothing to import, where libipsec-mb-dev is not installed: it is for x86-64.
        .target(name: "CIPsecMB"),
        .systemLibrary(name: "CIPsecMBLibrary", providers: [.apt(["libipsec-mb-dev"])]),
        .target(name: "CLinux"),

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
        .target(
            name: "WireGuardDaemon",
            dependencies: [
                "WireGuard", "LinuxIO", .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "swireguard-go",
            dependencies: [
                "WireGuardDaemon", "LinuxIO",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: settings),

        // The other end of scripts/scale: no product.
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
            dependencies: ["WireGuardDaemon", "WireGuard", "LinuxIO", "Packets"],
            swiftSettings: settings),
        // Takes the place of some system calls in the tests that are linked with it.
        .target(name: "CFaults", path: "Tests/CFaults"),
        .testTarget(
            name: "LinuxIOTests", dependencies: ["LinuxIO", "CLinux", "CFaults"],
            swiftSettings: settings),
    ]
)

// Only with SWIREGUARD_BENCHMARKS=1, so that nobody else has to fetch what they need. They are targets
// of this package since they measure what other packages do not see.
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
