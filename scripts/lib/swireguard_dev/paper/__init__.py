"""An independent WireGuard peer, written from the paper, to test the daemon.

It shares no code with the Swift sources, so agreement on bytes means that both follow the paper. It is only
for tests: secrets are plain `bytes`, nothing is constant-time, and callers can replace the sources of
randomness and time.

    hashing     Hash, Mac, Hmac, Kdf1..3          (paper, section 5.4; RFC 7693)
    curve       X25519                            (RFC 7748)
    aead        ChaCha20-Poly1305, and XChaCha    (RFC 8439, draft-irtf-cfrg-xchacha-03)
    timestamps  TAI64N
    messages    the four messages on the wire     (paper, section 5.4.2 to 5.4.7)
    noise       the handshake, both roles         (paper, section 5.4.2 and 5.4.3)
    cookies     mac1, mac2, cookie reply          (paper, section 5.4.4 and 5.4.7)
    session     keypair, replay window, padding   (paper, section 5.4.5 and 5.4.6; RFC 6479)
    peer        a peer without I/O
    packets     inner IP packets: ICMP echo
    namespaces  network namespaces, and sockets in them
    tunnel      a peer on a UDP socket
    fixtures    a daemon and a paper peer on a veth pair, for pytest
    vectors     the frozen vectors of `Vectors/`
"""
