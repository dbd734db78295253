/// The numbers of the protocol: section 6 of the paper, and the kernel's `messages.h`.
package enum Constants {
    /// An initiator asks for a new session after this many messages under one key (§6.1).
    package static let rekeyAfterMessages: UInt64 = 1 << 60
    /// The first counter that may be neither sent nor accepted (§6.1: 2^64 − 2^13 − 1).
    package static let rejectAfterMessages: UInt64 = .max - (1 << 13)
    /// The initiator of a session asks for a new one when it sends under a key of this age (§6.1).
    package static let rekeyAfterTime = Interval.seconds(120)
    /// A key of this age is neither sent under nor accepted (§6.1).
    package static let rejectAfterTime = Interval.seconds(180)
    /// The least time between two handshake messages to one peer, and the wait for an answer (§6.1).
    package static let rekeyTimeout = Interval.seconds(5)
    /// What is added at random to timers, so that two ends do not stay in step.
    package static let maximumJitter = Interval.milliseconds(333)
    /// How often an initiation is tried again: Rekey-Attempt-Time ÷ Rekey-Timeout (§6.4).
    package static let maximumHandshakeAttempts: UInt32 = 18
    /// How long after data without an answer an empty packet is sent (§6.5).
    package static let keepaliveTimeout = Interval.seconds(10)
    /// Until when the receiver of data still asks for a new session: 180 − 10 − 5 s (§6.2).
    package static let rekeyOnReceiveAfterTime = Interval.seconds(165)
    /// All key material is wiped this long after the last session was derived (§6.3).
    package static let zeroKeyMaterialAfterTime = Interval.seconds(540)
    /// The least time between two initiations accepted from one peer (kernel: 50 a second).
    package static let initiationInterval = Interval.milliseconds(20)
    /// Packets kept for a peer while there is no session; the oldest goes first.
    package static let maximumStagedPackets = 128
    /// Bytes kept for all peers together while there is no session.
    package static let maximumStagedBytes = 4 << 20
    /// Handshake messages that wait for the control thread; an eighth of it is "under load".
    package static let handshakeQueueLength = 1024
    /// How long a refused segmented send keeps segments out of use.
    package static let segmentationPause = Interval.seconds(10)
    /// Peers that one device may have.
    package static let maximumPeers = 1 << 20
    /// The MTU of the tunnel unless told otherwise: 1500 − 40 (IPv6) − 8 (UDP) − 32.
    package static let defaultMTU = 1420
    /// DSCP 34 (AF41) of initiations and responses, as the kernel sends them.
    package static let handshakeTrafficClass: UInt8 = 0x88
}
