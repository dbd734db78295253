"""Addresses and routes that change during a session, and sources on other interfaces.

    alice                               bob
    wg0  192.168.241.1, fd00::1         wg0  192.168.241.2, fd00::2
    eth0 10.0.0.1, fd00:aa::1 ───────── eth0 10.0.0.2, fd00:aa::2
    eth1 10.9.0.1 (if a test adds it)   eth1 10.9.0.2
                                        service 198.51.100.9 (a bridge without ports)
"""

import contextlib
import threading
import time

import pytest

from swireguard_dev.capture import Capture, source
from swireguard_dev.machines import connect
from swireguard_dev.topology import OUTER, socket_address, two_sites
from swireguard_dev.traffic import ping, send_stream

SERVICE = "198.51.100.9"


@contextlib.contextmanager
def during(stream_seconds, change):
    """A change in the middle of a stream of this duration."""
    def later():
        time.sleep(stream_seconds / 3)
        change()

    thread = threading.Thread(target=later)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def handshake_of(site, other):
    return site.peer_status(other).latest_handshake


@pytest.mark.scenario("X5", "an outer address changes under a stream")
@pytest.mark.parametrize("outer", [4, 6], ids=["IPv4", "IPv6"])
def test_an_outer_address_changes_under_a_stream(outer, seen):
    old, new, length, nodad = {4: ("10.0.0.1", "10.0.0.31", 24, ""),
                               6: ("fd00:aa::1", "fd00:aa::31", 96, " nodad")}[outer]
    with two_sites(outer=outer) as (a, b):
        ping(a.machine, b.inner[4])
        before = handshake_of(b, a)
        with during(1.2, lambda: a.machine.ip(
                f"address del {old}/{length} dev eth0\n"
                f"address add {new}/{length} dev eth0{nodad}")):
            took = send_stream(a.machine, b.machine, b.inner[4], size=2_400_000, pace=2_000_000)
        assert took > 0.6, "the stream ended before the change"
        assert b.peer_status(a).endpoint == socket_address(new, a.port)
        assert handshake_of(b, a) == before
        seen(f"2.4 MB arrive, from {old} and then {new}, in one session")


@pytest.mark.scenario("X7", "the route changes to another cable under a stream")
def test_the_route_changes_under_a_stream(seen):
    with two_sites() as (a, b):
        connect(a.machine, "eth1", b.machine, "eth1", ["10.9.0.1/24"], ["10.9.0.2/24"])
        for machine in (a.machine, b.machine):
            machine.sysctl(ipv4__conf__all__rp_filter=0, ipv4__conf__eth0__rp_filter=0,
                           ipv4__conf__eth1__rp_filter=0)
        ping(a.machine, b.inner[4])

        def change():
            a.machine.ip("route add 10.0.0.2/32 via 10.9.0.2 dev eth1 src 10.9.0.1\n"
                         "link set eth0 down")

        with during(1.2, change):
            send_stream(a.machine, b.machine, b.inner[4], size=2_400_000, pace=2_000_000)
        assert b.peer_status(a).endpoint == f"10.9.0.1:{a.port}"
        ping(b.machine, a.inner[4], within=1)
        seen("2.4 MB arrive, and bob shows 10.9.0.1")


@pytest.mark.scenario("X8", "the cable is removed and recreated during a session")
def test_the_cable_is_recreated(seen):
    with two_sites() as (a, b):
        ping(a.machine, b.inner[4])
        before = handshake_of(b, a)
        a.machine.ip("link del eth0")
        assert a.machine.attempt("ping", "-c", 1, "-W", 0.3, b.inner[4]).returncode != 0
        connect(a.machine, "eth0", b.machine, "eth0", ["10.0.0.1/24"], ["10.0.0.2/24"])
        ping(a.machine, b.inner[4], within=1)
        ping(b.machine, a.inner[4], within=1)
        assert handshake_of(b, a) == before
        seen("the next ping in each direction is answered in the same session")


@pytest.mark.scenario("X9", "inner addresses and allowed IPs change during a session")
def test_inner_addresses_change_during_a_session(seen):
    with two_sites() as (a, b):
        ping(a.machine, b.inner[4])
        before = handshake_of(a, b)
        b.machine.ip("address del 192.168.241.2/24 dev wg0\naddress add 192.168.77.2/24 dev wg0\n"
                     "route add 192.168.241.0/24 dev wg0")
        a.machine.ip("route add 192.168.77.0/24 dev wg0")
        a.daemon.wg("set", "peer", b.keys.public, "allowed-ips", "192.168.77.2/32")
        ping(a.machine, "192.168.77.2", within=1)
        ping(b.machine, a.inner[4], within=1)
        assert a.machine.attempt("ping", "-c", 1, "-W", 0.3, "192.168.241.2").returncode != 0
        assert handshake_of(a, b) == before
        seen("the new address answers in the same session, the old one does not")


@pytest.mark.scenario("X10", "a source on an interface that carries no packets")
def test_a_source_on_another_interface(seen):
    """A service address: answers keep it as source, although the route prefers the cable's address."""
    with two_sites() as (a, b):
        b.machine.ip(f"link add service type bridge\nlink set service up\n"
                     f"address add {SERVICE}/32 dev service")
        a.machine.ip(f"route add {SERVICE} via 10.0.0.2")
        a.daemon.wg("set", "peer", b.keys.public, "endpoint", f"{SERVICE}:{b.port}")
        with Capture(a.machine, "eth0") as capture:
            ping(a.machine, b.inner[4], within=1)
            b.machine.ip("link set service down")  # the address stays
            ping(a.machine, b.inner[4], within=1)
            b.machine.ip(f"address del {SERVICE}/32 dev service\naddress add {SERVICE}/32 dev lo")
            ping(a.machine, b.inner[4], within=1)
            sources = {source(packet) for packet in capture.packets() if source(packet)}
        assert sources == {(OUTER[4][1], a.port), (SERVICE, b.port)}
        assert a.peer_status(b).endpoint == f"{SERVICE}:{b.port}"
        seen(f"{SERVICE}, with its interface up, down, and after it moved to lo")
