"""Namespaces that are deleted in use, and the resources of the daemons that used them.

    jail: wg1 (default route)       ns1: its daemon, eth0 ── ns2: wg2 and its daemon, eth0
"""

import contextlib
import os
import socket
import subprocess
from types import SimpleNamespace

import pytest

from swireguard_dev.machines import Machine, connect, wait_until
from swireguard_dev.processes import belongings
from swireguard_dev.topology import OUTER, Site, two_machines, wait_for_the_next_initiation
from swireguard_dev.traffic import ping


@pytest.fixture
def world():
    with two_machines() as (ns1, ns2), Machine("jail") as jail, \
            Site(ns1, 1, name="wg1", port=1) as n1, Site(ns2, 2, name="wg2", port=2) as n2:
        ns1.ip(f"link set wg1 netns {jail.pid}")
        n1.machine = jail
        n1.configure(n2.as_peer(endpoint=f"{OUTER[4][2]}:2", allowed_ips=["0.0.0.0/0", "::/0"]))
        n2.configure(n1.as_peer())
        for site in (n2, n1):
            site.bring_up()
        jail.ip("route add default dev wg1\nroute add ::/0 dev wg1")
        ping(jail, n2.inner[4])
        yield SimpleNamespace(ns1=ns1, ns2=ns2, jail=jail, n1=n1, n2=n2)


def holdings(site):
    """Descriptors, threads and UDP sockets of a daemon."""
    return (*belongings(site.daemon.pid),
            len(site.daemon.machine.run("ss", "-Hlun", f"sport = :{site.port}").splitlines()))


@contextlib.contextmanager
def flood_without_end(machine, address):
    flood = machine.popen("ping", "-q", "-f", "-i", 0.002, address, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        flood.kill()
        flood.wait()


@pytest.mark.scenario("S39", "the namespace of an interface is deleted with a live tunnel")
def test_the_namespace_of_an_interface_is_deleted(world, seen):
    """With connected sockets there, which cache routes of both families, and under a flood."""
    n1, n2 = world.n1, world.n2
    with contextlib.ExitStack() as stack:
        with world.jail.entered():
            for family, address in ((socket.AF_INET, n2.inner[4]), (socket.AF_INET6, n2.inner[6])):
                user = stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
                user.connect((address, 9))
                user.send(b"a route is cached")
    before = holdings(n2)
    with flood_without_end(world.ns2, n1.inner[4]):
        received = n2.peer_status(n1).rx
        wait_until(lambda: n2.peer_status(n1).rx > received + 10_000, "the flood arrives")
        world.jail.holder.kill()
        n1.daemon.assert_ends_cleanly(within=10)
    assert holdings(n2) == before
    with Site(world.ns1, 1, name="wg1", port=1) as again:
        n2.daemon.wg("set", "peer", again.keys.public, "allowed-ips", ",".join(again.host_routes))
        again.configure(n2.as_peer(endpoint=f"{OUTER[4][2]}:2"))
        again.bring_up()
        ping(world.ns1, n2.inner[4], within=1)
    seen("its daemon exits 0; the other end leaks nothing and works with a new peer")


@pytest.mark.scenario("S39/2", "the other end's namespace is deleted under a flood")
def test_the_other_end_is_deleted(world, seen):
    n1, n2 = world.n1, world.n2
    before = holdings(n1)
    with flood_without_end(world.jail, n2.inner[4]):
        n2.daemon.stop()
        world.ns2.holder.kill()
        wait_until(lambda: not world.ns1.has_link("eth0"), "the cable is deleted")
        wait_until(lambda: holdings(n1) == before, "the daemon's resources are unchanged")
        assert n1.daemon.process.poll() is None
    with Machine("ns3") as ns3, Site(ns3, 2, name="wg2", port=2) as n3:
        n3.configure(n1.as_peer())
        n3.bring_up()
        connect(world.ns1, "eth0", ns3, "eth0", ["10.0.0.1/24"], ["10.0.0.2/24"])
        n1.daemon.wg("set", "peer", n2.keys.public, "remove", "peer", n3.keys.public, "endpoint",
                     "10.0.0.2:2", "allowed-ips", "0.0.0.0/0")
        ping(world.jail, n3.inner[4], within=1)
    seen(f"descriptors, threads, sockets stay {before}; a new end works")


@pytest.mark.scenario("S40", "swapped interfaces, and both namespaces deleted")
def test_swapped_interfaces(seen):
    """Each interface is in the namespace of the other's sockets."""
    with two_machines() as (ns1, ns2), \
            Site(ns1, 1, name="wg1", port=1) as n1, Site(ns2, 2, name="wg2", port=2) as n2:
        for site, other, machine, outer in ((n1, n2, ns2, 2), (n2, n1, ns1, 1)):
            site.daemon.machine.ip(f"link set {site.daemon.name} netns {machine.pid}")
            site.machine = machine
            site.configure(other.as_peer(endpoint=f"{OUTER[4][outer]}:{other.port}"))
            site.bring_up()
        wait_for_the_next_initiation()
        ping(ns2, n2.inner[4])  # through wg1, which is in ns2 now
        sockets = [site.daemon.socket_path for site in (n1, n2)]
        ns1.ip("link del wg2")
        n2.daemon.assert_ends_cleanly(within=10)
        assert n1.daemon.process.poll() is None and not os.path.lexists(sockets[1])
        ns2.holder.kill()  # the namespace has no other process: wg1 is deleted with it
        assert n1.daemon.process.wait(3) == 0
        n1.daemon.expected_to_run = False
        assert not os.path.lexists(sockets[0])
    seen("both daemons exit 0 and leave no socket file")
