"""Endpoints and sources, beyond the kernel's scenarios (scenarios/)."""

import pytest

from swireguard_dev.topology import socket_address, two_sites
from swireguard_dev.traffic import ping


@pytest.mark.scenario("X6", "a removed source address is no longer used")
def test_a_removed_address_is_no_longer_used(seen):
    """The source that answers used is removed: the next packet has another source."""
    with two_sites() as (a, b):
        b.machine.ip("address add 10.0.0.11/32 dev eth0")
        a.daemon.wg("set", "peer", b.keys.public, "endpoint", f"10.0.0.11:{b.port}")
        ping(a.machine, b.inner[4])
        b.machine.ip("address del 10.0.0.11/32 dev eth0")
        ping(b.machine, a.inner[4], within=4)
        assert a.peer_status(b).endpoint == f"10.0.0.2:{b.port}"
        seen("the next packet comes from 10.0.0.2")


@pytest.mark.parametrize("old, new", [
    ("10.0.0.1", "10.0.0.21"), ("fd00:aa::1", "fd00:aa::21")], ids=["IPv4", "IPv6"])
def test_the_daemon_roams_to_a_changed_address(old, new):
    with two_sites(outer=6 if ":" in old else 4) as (a, b):
        ping(a.machine, b.inner[4])
        length = "96" if ":" in old else "24"
        a.machine.ip(f"address del {old}/{length} dev eth0\n"
                     f"address add {new}/{length} dev eth0{' nodad' if ':' in new else ''}")
        a.daemon.wg("set", "listen-port", "9998")
        ping(a.machine, b.inner[6], within=4)
        assert b.peer_status(a).endpoint == socket_address(new, 9998)


def test_a_peer_changes_the_family_of_its_endpoint():
    with two_sites() as (a, b):
        ping(a.machine, b.inner[4])
        a.daemon.wg("set", "peer", b.keys.public, "endpoint", f"[fd00:aa::2]:{b.port}")
        ping(a.machine, b.inner[4], within=4)
        assert b.peer_status(a).endpoint == f"[fd00:aa::1]:{a.port}"
