"""WireGuard, written a second time from the paper, to hold the daemon against.

Nothing here shares a line with the Swift sources: where the two agree on bytes, both read
the paper the same way.  It is made for tests and for nothing else: secrets are plain `bytes`,
nothing runs in constant time, and every source of randomness and time can be replaced.

    hashing     Hash, Mac, Hmac, Kdf1..3          (paper, section 5.4; RFC 7693)
    curve       X25519                            (RFC 7748)
    aead        ChaCha20-Poly1305, and XChaCha    (RFC 8439, draft-irtf-cfrg-xchacha-03)
    timestamps  TAI64N
    messages    the four messages on the wire     (paper, section 5.4.2 to 5.4.7)
    noise       the handshake, both roles         (paper, section 5.4.2 and 5.4.3)
    cookies     mac1, mac2, cookie reply          (paper, section 5.4.4 and 5.4.7)
    session     keypair, replay window, padding   (paper, section 5.4.5 and 5.4.6; RFC 6479)
    peer        all of it together, without I/O
    packets     inner IP packets: ICMP echo
    namespaces  network namespaces, and the sockets in them
    tunnel      a peer on a UDP socket
    fixtures    a daemon and a paper peer on a veth pair, for pytest
    vectors     the frozen vectors of `Vectors/`
"""
