import Packets
import WireGuardCrypto

/// Checks mac1 of the initiations and responses to this host: the sender must know our public key
/// (§5.3, §5.4.4).
///
/// Workers check it before they queue a message, so that senders who do not know the key can neither
/// fill the queue nor cause load.
package struct MAC1Check: Sendable, BitwiseCopyable {
    private let key: Bytes32

    /// Creates the check of a host with this static key.
    package init(publicKey: PublicKey) {
        key = CookieKeys.mac1Key(for: publicKey)
    }

    /// Whether mac1 is valid.
    package func accepts(_ macs: MACs) -> Bool {
        let mac1 = BLAKE2s.mac(key: key.bytes, macs.coveredByMAC1)
        return ConstantTime.equal(mac1.bytes, macs.mac1)
    }
}
