import WireGuardCrypto

/// The part of a peer that only the control thread uses: keys, handshake and cookie. The other part
/// is the ``SharedPeer`` with the same slot.
final class Peer {
    let publicKey: PublicKey
    let slot: PeerSlot
    /// Grows with each added peer; peers are listed in this order.
    let serial: UInt64
    var presharedKey = PresharedKey()
    /// DH(our static key, the peer's), computed on first use.
    var staticStatic: StaticStatic?
    /// Our initiation that waits for its response.
    var handshake: InitiatorHandshake?
    /// The timestamps of our initiations to the peer.
    var timestamps = InitiationTimestamps()
    /// The greatest timestamp of the peer's accepted initiations.
    var greatestTimestamp: TAI64N?
    /// When the peer's last initiation was accepted.
    var lastInitiation: Instant?
    /// When the last handshake completed, for `wg show`.
    var lastHandshake: WallTime?
    var cookie: LatestCookie
    var keypairs = Keypairs()

    init(publicKey: PublicKey, slot: PeerSlot, serial: UInt64) {
        self.publicKey = publicKey
        self.slot = slot
        self.serial = serial
        cookie = LatestCookie(publicKey: publicKey)
    }
}
