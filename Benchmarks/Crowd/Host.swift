import Packets
import WireGuard
import WireGuardCrypto

/// The daemon under test, as its peers know it.
final class Host {
    let privateKey: String
    let publicKey: PublicKey
    let address: SocketAddress
    /// The address of its interface, which answers pings.
    let inner = IPv4Address(bits: 0x0AFF_FFFE)

    init(port: UInt16) {
        var random = SystemRandom()
        let key = PrivateKey(random: &random)
        privateKey = key.bytes.hexadecimal
        publicKey = key.publicKey
        address = SocketAddress(address: .v4(IPv4Address(bits: 0x7F00_0001)), port: port)
    }

    /// The inner address of a member, in 10.0.0.0/8.
    static func inner(of member: Int) -> IPv4Address {
        IPv4Address(bits: 0x0A00_0001 + UInt32(member))
    }

    /// The outer address of a member, in 127.0.0.0/8. It identifies the member an initiation is for.
    static func outer(of member: Int) -> IPv4Address {
        IPv4Address(bits: firstOuter + UInt32(member))
    }

    /// The member with an outer address.
    static func member(at address: IPv4Address) -> Int? {
        address.bits >= firstOuter ? Int(address.bits - firstOuter) : nil
    }

    private static let firstOuter: UInt32 = 0x7F01_0001
}

extension RawSpan {
    /// Two hexadecimal digits for each byte.
    var hexadecimal: String {
        (0..<byteCount).map { offset in
            let digits = String(byte(at: offset), radix: 16)
            return digits.count < 2 ? "0" + digits : digits
        }.joined()
    }
}
