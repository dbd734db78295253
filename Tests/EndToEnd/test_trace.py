"""The log at LOG_LEVEL=verbose: one line for each protocol event, with peer, index and reason."""

import re
import socket
import struct
import time

from swireguard_dev.capture import Capture, source, udp_payload
from swireguard_dev.daemon import wg_tool
from swireguard_dev.machines import wait_until
from swireguard_dev.topology import OUTER, two_sites
from swireguard_dev.traffic import ping


def name_of(site):
    """The log's name for a peer."""
    return f"peer({site.keys.public[:4]}…{site.keys.public[-5:-1]})"


def lines(site, *words):
    """The lines of a site's log that contain all these words."""
    return [line for line in site.daemon.log_text().splitlines()
            if all(word in line for word in words)]


def send_from(site, other, *datagrams):
    """Datagrams from a port that no peer uses; returns their source address."""
    with site.machine.entered(), \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect((OUTER[4][2], other.port))
        for datagram in datagrams:
            client.send(datagram)
        return "{}:{}".format(*client.getsockname())


def messages_of_a_ping(a, b):
    """The UDP payloads that alice and bob send during a ping: a handshake and data."""
    with Capture(b.machine, "eth0") as capture:
        ping(a.machine, b.inner[4])
        packets = capture.packets()
    sources = {site: (OUTER[4][number], site.port) for number, site in ((1, a), (2, b))}
    return ([udp_payload(packet) for packet in packets if source(packet) == sources[site]]
            for site in (a, b))


def sender(message):
    """The sender's index in a handshake message."""
    return struct.unpack_from("<L", message, 4)[0]


def test_both_ends_log_a_handshake():
    with two_sites(preshared=True) as (a, b):
        (initiation, *_), (response, *_) = (map(sender, sent) for sent in messages_of_a_ping(a, b))
        wait_until(lambda: lines(b, "is now current"), "the session is in use")
        for site, *words in (
                (a, name_of(b), f"sent initiation {initiation:08x}: packets are waiting"),
                (a, name_of(b), f"the response to {initiation:08x} from {OUTER[4][2]}:{b.port}"),
                (a, name_of(b), f"keypair {initiation:08x} is now current"),
                (b, name_of(a), f"from {OUTER[4][1]}:{a.port}, sent response {response:08x}"),
                (b, name_of(a), f"keypair {response:08x} is now current")):
            # The lines are written after the message was sent.
            wait_until(lambda: lines(site, *words), f"{words} is logged")
            assert len(lines(site, *words)) == 1, (words, site.daemon.log_text())


def test_each_drop_is_logged_with_its_reason():
    with two_sites() as (a, b):
        sent_by_a, (response, *_) = messages_of_a_ping(a, b)
        index = sender(response)
        data = next(message for message in sent_by_a if message[0] == 4)
        forged = data[:-1] + bytes([data[-1] ^ 1])
        unknown = struct.pack("<LL", 4, index ^ 1) + data[8:]
        remote = send_from(a, b, data, forged, unknown, b"\4\0\0\0", bytes([1]).ljust(148, b"\0"))
        for words in (
                ("was seen before", name_of(a), f"index {index:08x}"),
                ("authentication failed", name_of(a), f"index {index:08x}"),
                ("unknown receiver index", f"index {index ^ 1:08x}"),
                ("not a WireGuard message",),
                ("invalid MAC1", "index 00000000")):
            wait_until(lambda: lines(b, "dropped a packet", f"from {remote}", *words), str(words))
        a.machine.attempt("ping", "-c", 1, "-W", 0.2, "192.168.241.77")
        wait_until(lambda: lines(a, "no peer has its destination (192.168.241.77)"), "the packet")
        b.daemon.wg("set", "peer", a.keys.public, "allowed-ips", "192.168.241.200/32")
        a.machine.attempt("ping", "-c", 1, "-W", 0.2, b.inner[4])
        wait_until(lambda: lines(b, f"allowed IPs ({a.inner[4]})", name_of(a)), "the source")


def test_a_flood_of_packets_does_not_flood_the_log():
    with two_sites() as (a, b):
        ping(a.machine, b.inner[4])
        begun = time.monotonic()
        for _ in range(100):
            send_from(a, b, *[b"\4\0\0\0" + bytes(60)] * 200)
            time.sleep(0.01)
        seconds = time.monotonic() - begun
        time.sleep(1.2)
        told = lines(b, "dropped a packet: unknown receiver index")
        more = [int(re.search(r"dropped (\d+) more", line)[1])
                for line in lines(b, "more, not listed: unknown receiver index")]
        assert 10 <= len(told) <= 10 * (seconds + 2)
        assert 1 <= len(more) <= seconds + 2
        # The daemon cannot count datagrams that overflowed its socket.
        assert 10_000 < len(told) + sum(more) <= 20_000
        ping(a.machine, b.inner[4])


def test_the_log_contains_no_secrets():
    key = wg_tool("genpsk")
    with two_sites() as (a, b):
        for site, other in ((a, b), (b, a)):
            site.daemon.wg("set", "peer", other.keys.public, "preshared-key", "/dev/stdin", input=key)
        ping(a.machine, b.inner[4])
        a.machine.ip("link set wg0 down\nlink set wg0 up")
        a.machine.attempt("ping", "-c", 1, "-W", 1, b.inner[4])
        for site in (a, b):
            text = site.daemon.log_text()
            assert len(text.splitlines()) > 4
            for secret in (a.keys.private, b.keys.private, key.strip()):
                assert secret not in text and secret[:8] not in text
        # The default level logs none of it.
    with two_sites(environment={"LOG_LEVEL": "info"}) as (a, b):
        ping(a.machine, b.inner[4])
        send_from(a, b, b"\4\0\0\0")
        time.sleep(0.3)
        assert lines(a, "peer(") == lines(b, "peer(") == lines(b, "dropped") == []
