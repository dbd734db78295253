"""The kernel's scenarios on a direct cable: addresses, sources and first packets.

    ns1                                                  ns2
    veth1 10.0.0.1, 10.0.0.2, fd00:aa::1, fd00:aa::2 ─── veth2 10.0.0.10, fd00:aa::10
    veth3 10.0.0.3, fd00:aa::3 (a better route, later) ─ veth4
    wg1   192.168.241.1, fd00::1                         wg2   192.168.241.2, fd00::2
"""

import time
from types import SimpleNamespace

import pytest

from swireguard_dev.capture import Capture, source
from swireguard_dev.machines import Machine, connect, wait_until
from swireguard_dev.topology import Site, socket_address
from swireguard_dev.traffic import ping

OURS = ["10.0.0.1", "10.0.0.2", "fd00:aa::1", "fd00:aa::2"]


def network(address):
    return f"{address}/{96 if ':' in address else 24}"


@pytest.fixture
def world():
    with Machine("ns1") as ns1, Machine("ns2") as ns2, \
            Site(ns1, 1, name="wg1", port=1) as n1, Site(ns2, 2, name="wg2", port=2) as n2:
        connect(ns1, "veth1", ns2, "veth2", map(network, OURS),
                map(network, ("10.0.0.10", "fd00:aa::10")))
        yield SimpleNamespace(ns1=ns1, ns2=ns2, n1=n1, n2=n2)


def dig_tunnel(world, outer=4):
    n1, n2 = world.n1, world.n2
    n1.configure(n2.as_peer(endpoint={4: "10.0.0.10:2", 6: "[fd00:aa::10]:2"}[outer]))
    n2.configure(n1.as_peer(endpoint=socket_address({4: OURS[0], 6: OURS[2]}[outer], 1)))
    for site in (n1, n2):
        site.bring_up()


@pytest.mark.scenario("S23", "answers come from the address that the other end used")
def test_answers_come_from_the_expected_address(world, seen):
    dig_tunnel(world)
    for address in OURS:
        world.n2.daemon.wg("set", "peer", world.n1.keys.public, "endpoint",
                           socket_address(address, 1))
        with Capture(world.ns2, "veth2") as capture:
            ping(world.ns2, world.n1.inner[4], within=1)
            sources = {source(packet)[0] for packet in capture.packets()
                       if (source(packet) or (None, None))[1] == 1}
        assert sources == {address}
        assert world.n2.peer_status(world.n1).endpoint == socket_address(address, 1)
    seen("each of " + ", ".join(OURS))


@pytest.mark.parametrize("outer", [
    pytest.param(4, marks=pytest.mark.scenario("S25", "a better route brings its source [4]")),
    pytest.param(6, marks=pytest.mark.scenario("S25", "a better route brings its source [6]"))])
def test_a_better_route_changes_the_source(world, outer, seen):
    """The cached source of a peer ends with the route that it came from."""
    prefix, old, new = {4: ("10.0.0.0/24", "10.0.0.1", "10.0.0.3"),
                        6: ("fd00:aa::/96", "fd00:aa::1", "fd00:aa::3")}[outer]
    for machine, cable in ((world.ns1, "veth1"), (world.ns2, "veth2")):
        machine.sysctl(ipv4__conf__all__rp_filter=0, **{f"ipv4__conf__{cable}__rp_filter": 0})
    connect(world.ns1, "veth3", world.ns2, "veth4", map(network, ("10.0.0.3", "fd00:aa::3")))
    for machine, cable in ((world.ns1, "veth3"), (world.ns2, "veth4")):
        machine.sysctl(**{f"ipv4__conf__{cable}__rp_filter": 0})
    for cable in ("veth1", "veth3"):
        world.ns1.run("ip", f"-{outer}", "route", "flush", "dev", cable, "proto", "kernel",
                      "scope", "link" if outer == 4 else "global", "table", "main")
    if outer == 6:
        # IPv6 resolves a neighbour from its own network, so ns2's other cable must know one too.
        world.ns2.ip("address add fd00:aa::10/128 dev veth4 nodad\nroute add fd00:aa::3 dev veth4")
    world.ns1.ip(f"route add {prefix} dev veth1 src {old} metric 20")
    dig_tunnel(world, outer)
    ping(world.ns1, world.n2.inner[4], within=1)
    assert world.n2.peer_status(world.n1).endpoint == socket_address(old, 1)
    world.ns1.ip(f"route add {prefix} dev veth3 src {new} metric 10")
    ping(world.ns1, world.n2.inner[4], within=1)
    assert world.n2.peer_status(world.n1).endpoint == socket_address(new, 1)
    seen(f"n2 shows {old}, and after one ping {new}")


@pytest.mark.parametrize("last", [
    pytest.param("up", marks=pytest.mark.scenario(
        "S26", "a peer with a keepalive gets one when the link goes up, not before")),
    pytest.param("key", marks=pytest.mark.scenario(
        "S27", "a peer with a keepalive gets one when the private key is set, not before"))])
def test_the_first_keepalive(world, last, seen):
    n1, n2 = world.n1, world.n2
    steps = {
        "key": lambda: n1.daemon.wg("set", "private-key", "/dev/stdin", input=n1.keys.private),
        "up": lambda: world.ns1.ip("link set wg1 up"),
    }
    n1.daemon.wg("set", "listen-port", "1", "peer", n2.keys.public, "endpoint", "10.0.0.10:2",
                 "persistent-keepalive", "1")
    final = steps.pop(last)
    for step in steps.values():
        step()
    time.sleep(1.2)
    early = n1.peer_status(n2).tx
    assert early == 0, f"{early} bytes were sent before the last condition was met"
    final()
    wait_until(lambda: n1.peer_status(n2).tx > 0, "a datagram is sent immediately", within=4)
    seen(f"0 bytes, then {n1.peer_status(n2).tx}")
