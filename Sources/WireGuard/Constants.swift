/// The constants of the protocol (section 6 of the paper, the kernel's `messages.h`) and the limits of
/// this implementation.
package enum Constants {
    /// Rekey-After-Messages: after this many messages under one key a new session is started (§6.1).
    package static let rekeyAfterMessages: UInt64 = 1 << 60
    /// Reject-After-Messages: the first counter that is neither sent nor accepted (§6.1:
    /// 2^64 − 2^13 − 1).
    package static let rejectAfterMessages: UInt64 = .max - (1 << 13)
    /// Rekey-After-Time: an initiator that sends under a key of this age starts a new session (§6.1).
    package static let rekeyAfterTime = Interval.seconds(120)
    /// Reject-After-Time: a key of this age is not used, for sending or receiving (§6.1).
    package static let rejectAfterTime = Interval.seconds(180)
    /// Rekey-Timeout: the minimum time between two handshake messages to one peer, and the wait for a
    /// response (§6.1).
    package static let rekeyTimeout = Interval.seconds(5)
    /// The maximum random delay added to timers, so that two hosts do not stay synchronized.
    package static let maximumJitter = Interval.milliseconds(333)
    /// Another retry is allowed after at most this many, so there are 19 retries and 20 initiations:
    /// Rekey-Attempt-Time ÷ Rekey-Timeout (§6.4), as in the kernel.
    package static let maximumHandshakeAttempts: UInt32 = 18
    /// Keepalive-Timeout: how long after unanswered data a keepalive is sent (§6.5).
    package static let keepaliveTimeout = Interval.seconds(10)
    /// An initiator that receives under a key of this age starts a new session: 180 − 10 − 5 s (§6.2).
    package static let rekeyOnReceiveAfterTime = Interval.seconds(165)
    /// How long after the last session was derived all keys are wiped: 3 × 180 s (§6.3).
    package static let zeroKeyMaterialAfterTime = Interval.seconds(540)
    /// The minimum time between two initiations accepted from one peer (kernel: 50 a second).
    package static let initiationInterval = Interval.milliseconds(20)
    /// Staged packets for each peer; beyond it the oldest is dropped.
    package static let maximumStagedPackets = 128
    /// Bytes of staged packets for all peers together; beyond it the peer that holds most drops its oldest.
    package static let maximumStagedBytes = 4 << 20
    /// Capacity of the handshake queue. The device is under load if it is one eighth full.
    package static let handshakeQueueLength = 1024
    /// How long segmented sends stay off after the kernel refused one.
    package static let segmentationPause = Interval.seconds(10)
    /// How long packets are not coalesced after the TUN refused a super-packet.
    package static let coalescingPause = segmentationPause
    /// Peers of one device, and peers that one set request may name.
    package static let maximumPeers = 1 << 20
    /// The MTU of a new interface: 1500 − 40 (IPv6) − 8 (UDP) − 32 (transport data).
    package static let defaultMTU = 1420
    /// DSCP 34 (AF41) of initiations and responses, as the kernel sends them.
    package static let handshakeTrafficClass: UInt8 = 0x88
}
