"""Where packets go and where they come from: sources that stick, ends that roam.

S-numbers are those of the kernel's selftests' scenarios as this project counts them.
"""

import socket

import pytest

from capture import Capture, source
from daemon import wg_tool
from machines import connect
from topology import Site, socket_address, two_sites
from traffic import ping


@pytest.mark.parametrize("address", ["10.0.0.11", "10.0.0.12", "fd00:aa::11", "fd00:aa::12"])
def test_the_answer_comes_from_the_address_that_was_dialled(address):
    """S23: not from the one that the route would choose."""
    with two_sites() as (a, b):
        b.machine.ip("\n".join(
            f"address add {each}{'/96' if ':' in each else '/24'} dev eth0"
            for each in ("10.0.0.11", "10.0.0.12", "fd00:aa::11", "fd00:aa::12")))
        endpoint = socket_address(address, b.port)
        a.daemon.wg("set", "peer", b.keys.public, "endpoint", endpoint)
        with Capture(a.machine, "eth0") as capture:
            ping(a.machine, b.inner[4], count=3)
            assert {source(packet)[0] for packet in capture.packets()
                    if source(packet) and source(packet)[1] == b.port} == {address}
        assert a.peer_status(b).endpoint == endpoint


def test_an_address_that_is_gone_is_used_no_more():
    """The source that a peer was answered from is removed: the next packet has another."""
    with two_sites() as (a, b):
        b.machine.ip("address add 10.0.0.11/32 dev eth0")
        a.daemon.wg("set", "peer", b.keys.public, "endpoint", f"10.0.0.11:{b.port}")
        ping(a.machine, b.inner[4])
        b.machine.ip("address del 10.0.0.11/32 dev eth0")
        ping(b.machine, a.inner[4], within=1)
        assert a.peer_status(b).endpoint == f"10.0.0.2:{b.port}"


@pytest.mark.parametrize("version, prefix, new", [
    (4, "10.0.0.2/32", "10.0.0.3"), (6, "fd00:aa::2/128", "fd00:aa::3")])
def test_a_better_route_changes_the_source(version, prefix, new):
    """S25: the source cached for a peer ends with the route that it came from."""
    with two_sites(outer=version) as (a, b):
        ping(a.machine, b.inner[4])
        connect(a.machine, "eth1", b.machine, "eth1")
        for machine in (a.machine, b.machine):
            machine.sysctl(ipv4__conf__all__rp_filter=0, ipv4__conf__eth0__rp_filter=0,
                           ipv4__conf__eth1__rp_filter=0)
        b.machine.ip("address add 10.0.0.2/32 dev eth1\naddress add fd00:aa::2/128 dev eth1 nodad")
        a.machine.ip("address add 10.0.0.3/32 dev eth1\naddress add fd00:aa::3/128 dev eth1 nodad")
        b.machine.ip("route add 10.0.0.3/32 dev eth1\nroute add fd00:aa::3/128 dev eth1")
        a.machine.ip(f"route add {prefix} dev eth1 src {new}")
        ping(a.machine, b.inner[4], within=1)
        assert b.peer_status(a).endpoint == socket_address(new, a.port)


@pytest.mark.parametrize("old, new", [
    ("10.0.0.1", "10.0.0.21"), ("fd00:aa::1", "fd00:aa::21")], ids=["IPv4", "IPv6"])
def test_a_changed_address_is_roamed_to(old, new):
    """S8, S9."""
    with two_sites(outer=6 if ":" in old else 4) as (a, b):
        ping(a.machine, b.inner[4])
        length = "96" if ":" in old else "24"
        a.machine.ip(f"address del {old}/{length} dev eth0\n"
                     f"address add {new}/{length} dev eth0{' nodad' if ':' in new else ''}")
        a.daemon.wg("set", "listen-port", "9998")
        ping(a.machine, b.inner[6], within=1)
        assert b.peer_status(a).endpoint == socket_address(new, 9998)


def test_a_peer_changes_the_family_of_its_endpoint():
    with two_sites() as (a, b):
        ping(a.machine, b.inner[4])
        a.daemon.wg("set", "peer", b.keys.public, "endpoint", f"[fd00:aa::2]:{b.port}")
        ping(a.machine, b.inner[4], within=1)
        assert b.peer_status(a).endpoint == f"[fd00:aa::1]:{a.port}"


def test_a_source_that_is_not_the_peers_is_dropped_though_it_roams():
    """S10: the longest prefix on the whole device owns the inner source."""
    with two_sites() as (a, b):
        a.daemon.wg("set", "peer", b.keys.public, "allowed-ips", "192.168.241.0/24")
        with a.machine.entered():
            receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with b.machine.entered():
            sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with receiver, sender:
            receiver.bind((a.inner[4], 1111))
            receiver.settimeout(1)
            ping(a.machine, b.inner[4])
            sender.sendto(b"X", (a.inner[4], 1111))
            assert receiver.recv(10) == b"X"
            a.daemon.wg("set", "peer", wg_tool("genpsk"), "allowed-ips", f"{b.inner[4]}/32")
            b.daemon.wg("set", "listen-port", "9997")
            sender.sendto(b"X", (a.inner[4], 1111))
            with pytest.raises(TimeoutError):
                receiver.recv(10)
        assert a.peer_status(b).endpoint == "10.0.0.2:9997"  # it was authentic


def test_a_tunnel_inside_the_tunnel():
    """S18: a second peer whose endpoint is the first one's inner address."""
    with two_sites() as (a, b), Site(b.machine, 9, name="wg1", port=5) as c:
        a.daemon.wg("set", "peer", c.keys.public, "endpoint", f"{b.inner[4]}:5",
                    "allowed-ips", "192.168.242.2/32")
        c.configure(a.as_peer(allowed_ips=[f"{a.inner[4]}/32"]))
        b.machine.ip("""
            address add 192.168.242.2/32 dev wg1
            link set wg1 mtu 1340 up
            rule add from 192.168.242.2 table 5
            route add default dev wg1 table 5""")
        a.machine.ip("route add 192.168.242.2/32 dev wg0 mtu 1340")
        ping(a.machine, "192.168.242.2", count=3, within=2)
