// swift-tools-version: 6.2
import PackageDescription

// A program that embeds the library WireGuard and has a requirement of its own on swift-log, which the
// daemon uses too. scripts/lib/test-embedder builds it; the URLs are those of mirrors that it sets up.
let package = Package(
    name: "Embedder",
    dependencies: [
        .package(url: "https://example.com/swireguard", from: "0.1.0", traits: []),
        .package(url: "https://github.com/apple/swift-log", from: "1.99.0"),
    ],
    targets: [
        .executableTarget(
            name: "Embedder",
            dependencies: [
                .product(name: "WireGuard", package: "swireguard"),
                .product(name: "Logging", package: "swift-log"),
            ])
    ]
)
