// The types of other modules in this module's public API, so that `import WireGuard` is sufficient.
@_exported import struct Packets.AddressText
@_exported import enum Packets.IPAddress
@_exported import struct Packets.IPPrefix
@_exported import struct Packets.IPv4Address
@_exported import struct Packets.IPv6Address
@_exported import struct Packets.SocketAddress
@_exported import struct Packets.SourceAddress
@_exported import struct Packets.UDPTransmit
@_exported import enum WireGuardCrypto.AEADImplementation  // For this package's daemon only.
@_exported import enum WireGuardCrypto.Cryptography
@_exported import enum WireGuardCrypto.CryptographyError
@_exported import struct WireGuardCrypto.PresharedKey
@_exported import struct WireGuardCrypto.PrivateKey
@_exported import struct WireGuardCrypto.PublicKey
@_exported import protocol WireGuardCrypto.RandomSource
@_exported import struct WireGuardCrypto.SeededRandom
@_exported import struct WireGuardCrypto.SystemRandom
