import WireGuardCrypto

/// The half of a peer that only the control thread touches: keys, handshake and cookie. The other
/// half is ``SharedPeer``, under the same slot.
final class Peer {
    let publicKey: PublicKey
    let slot: PeerSlot
    /// Peers are told in the order in which they were added.
    let serial: UInt64
    var presharedKey = PresharedKey()
    /// DH(our static key, the peer's), computed when it is first needed.
    var staticStatic: StaticStatic?
    /// The handshake that we began and that waits for its response.
    var handshake: InitiatorHandshake?
    /// The stamps that our initiations to the peer carried.
    var timestamps = InitiationTimestamps()
    /// The greatest timestamp that an initiation of the peer carried.
    var greatestTimestamp: TAI64N?
    /// When the last initiation was accepted.
    var lastInitiation: Instant?
    /// When the last handshake was complete, for `wg show`.
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
