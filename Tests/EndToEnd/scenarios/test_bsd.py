"""Scenarios of the BSDs' tests beyond the kernel's.

    alice ── bob, or a daemon and the paper peer: see topology.py and paper/fixtures.py
"""

import socket
import time

import pytest

from swireguard_dev.capture import Capture, source
from swireguard_dev.daemon import Keys, to_hex, wg_tool
from swireguard_dev.machines import Machine
from swireguard_dev.paper.cookies import encoded_source
from swireguard_dev.paper.fixtures import INNER, open_site  # noqa: F401
from swireguard_dev.topology import OUTER, two_sites, wait_for_the_next_initiation
from swireguard_dev.traffic import assert_no_answer, ping


@pytest.mark.scenario("B1", "the other end is under load: a cookie, and the retry succeeds")
def test_the_other_end_is_under_load(open_site, seen):
    site = open_site()
    tunnel, peer = site.tunnel, site.tunnel.peer
    with site.daemon.ping(INNER[4][1], "-W", "1") as unanswered:
        first = tunnel.await_initiation()
        cookie = peer.cookie_reply(first.data, encoded_source(*first.source))
        assert len(cookie) == 64
        tunnel.send(cookie)
        assert unanswered.wait(5) == 1
    assert site.daemon.show("latest-handshakes")[0][1] == "0"
    with site.daemon.ping(INNER[4][1], "-W", "6") as answered:
        second = tunnel.await_initiation(6)
        assert peer.accepts_mac2(second.data, encoded_source(*second.source))
        tunnel.send(peer.respond(second.data))
        for _ in range(2):  # both pings were staged
            tunnel.answer_echo()
        assert answered.wait(5) == 0
    assert site.daemon.show("latest-handshakes")[0][1] != "0"
    seen(f"64 bytes, no handshake; {second.time - first.time:.2f} s later it succeeds")


@pytest.mark.scenario("B3", "a keepalive has 32 bytes")
def test_a_keepalive_has_32_bytes(seen):
    with two_sites() as (a, b):
        ping(a.machine, b.inner[4])
        a.daemon.wg("set", "peer", b.keys.public, "persistent-keepalive", "1")
        begun, before = time.monotonic(), a.peer_status(b).tx
        with Capture(b.machine, "eth0") as capture:
            time.sleep(2.6)
            lengths = [len(data) for _, data in capture.datagrams_from(OUTER[4][1], a.port)]
        sent = a.peer_status(b).tx - before
        elapsed = time.monotonic() - begun
        assert set(lengths) == {32} and 1 <= len(lengths) <= elapsed + 1
        assert 32 <= sent <= 32 * (elapsed + 1)
        seen(f"{lengths} in {elapsed:.1f} s")


@pytest.mark.scenario("B4", "a preshared key: none, one, none again, never on one side only")
def test_preshared_keys_come_and_go(seen):
    with two_sites() as (a, b):
        def set_key(site, other, key):
            site.daemon.wg("set", "peer", other.keys.public, "preshared-key",
                           "/dev/stdin" if key else "/dev/null", input=key)

        def new_session(key):
            """Alice removes Bob, and adds him again with that key."""
            a.daemon.wg("set", "peer", b.keys.public, "remove")
            a.daemon.wg("set", "peer", b.keys.public, "endpoint", f"{OUTER[4][2]}:{b.port}",
                        "allowed-ips", ",".join(b.host_routes))
            set_key(a, b, key)
            wait_for_the_next_initiation()

        ping(a.machine, b.inner[4], within=4)
        for key in (wg_tool("genpsk"), None):
            set_key(b, a, key)
            new_session(key)
            ping(a.machine, b.inner[4], within=4)
        new_session(wg_tool("genpsk"))
        assert_no_answer(a.machine, b.inner[4])
        seen("three sessions, and none with different keys")


MALFORMED = ([bytes(length) for length in range(1, 6)]
             + [bytes([kind, 0, 0, 0]) for kind in range(5)]
             + [bytes([kind]).ljust(length - 1, b"\0")
                for kind, length in ((1, 148), (2, 92), (3, 64), (4, 32))])


@pytest.mark.scenario("B5", "14 malformed datagrams, then a ping")
def test_malformed_datagrams(seen):
    assert len(MALFORMED) == 14
    with two_sites() as (a, b):
        with b.machine.entered():
            sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with sender, Capture(b.machine, "eth0") as capture:
            for datagram in MALFORMED:
                sender.sendto(datagram, (OUTER[4][1], a.port))
            time.sleep(0.2)
            assert not [packet for packet in capture.packets()
                        if source(packet) == (OUTER[4][1], a.port)], "something was answered"
        ping(a.machine, b.inner[4], within=4)
        ping(b.machine, a.inner[4], within=4)
        assert a.daemon.process.poll() is None
        seen("no answers except to the ping")


@pytest.mark.scenario("B6", "a peer with the interface's own key")
def test_a_peer_with_the_own_key(seen):
    with two_sites() as (a, b):
        result = a.daemon.ask(f"set=1\npublic_key={to_hex(a.keys.public)}\n"
                              "endpoint=127.0.0.1:51821\nallowed_ip=192.168.99.0/24\n\n")
        assert result == "errno=0\n\n"
        assert list(a.daemon.show().peers) == [b.keys.public]
        ping(a.machine, b.inner[4], within=4)
        seen("accepted and ignored, the other peer is reachable")


@pytest.mark.scenario("B7", "the interface takes over a live peer's key, and the peer returns later")
def test_a_peer_becomes_the_interface(seen):
    with two_sites() as (a, b):
        ping(a.machine, b.inner[4])
        a.daemon.wg("set", "private-key", "/dev/stdin", input=b.keys.private)
        assert a.daemon.show().peers == {}
        assert a.machine.attempt("ping", "-c", 1, "-W", 1, b.inner[4]).returncode != 0
        a.keys = Keys()
        a.daemon.wg("set", "private-key", "/dev/stdin", "peer", b.keys.public, "endpoint",
                    f"{OUTER[4][2]}:{b.port}", "allowed-ips", ",".join(b.host_routes),
                    input=a.keys.private)
        b.daemon.wg("set", "peer", a.keys.public, "allowed-ips", ",".join(a.host_routes))
        wait_for_the_next_initiation()
        ping(a.machine, b.inner[4], within=4)
        seen("removed with its session; after it is added again, the first ping is answered")


@pytest.mark.scenario("B8", "the sockets stay in the namespace where they were created")
def test_the_sockets_stay_where_they_were_created(seen):
    with Machine("elsewhere") as elsewhere, two_sites() as (a, b):
        a.machine.ip(f"link set wg0 netns {elsewhere.pid}")
        born, a.machine = a.machine, elsewhere
        a.bring_up()
        wait_for_the_next_initiation()
        for port in (a.port, 7777, 0):
            a.daemon.wg("set", "listen-port", str(port))  # new sockets
            bound = a.daemon.show().listen_port
            assert born.run("ss", "-Hlun", f"sport = :{bound}")
            assert not elsewhere.run("ss", "-Hlun")
            ping(elsewhere, b.inner[4], within=4)
        seen("three ports, no socket in the interface's namespace")

