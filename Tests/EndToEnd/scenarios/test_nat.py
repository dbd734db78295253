"""The kernel's scenarios through a NAT whose mappings expire after two seconds.

    ns1                      ns0, a router                     ns2
    vethc 192.168.1.100 ──── 192.168.1.1 │ 10.0.0.1 ────────── veths 10.0.0.100
    wg1   192.168.241.1      192.168.1.0/24 becomes 10.0.0.1   wg2   192.168.241.2
          fd00::1                                                    fd00::2
"""

import socket
import time
from types import SimpleNamespace

import pytest

from swireguard_dev.machines import Machine, connect
from swireguard_dev.topology import Site
from swireguard_dev.traffic import flood, ping

SOURCE_NAT = """
table ip nat {{
    chain postrouting {{
        type nat hook postrouting priority 100
        ip saddr {source} ip daddr {destination} snat to {to}
    }}
}}
"""
MARK_ALL = """
table inet marks {
    chain output {
        type route hook output priority mangle
        meta mark set 1
    }
}
"""


@pytest.fixture
def world():
    with Machine("ns0") as ns0, Machine("ns1") as ns1, Machine("ns2") as ns2, \
            Site(ns1, 1, name="wg1", port=1) as n1, Site(ns2, 2, name="wg2", port=2) as n2:
        connect(ns0, "vethrc", ns1, "vethc", ["192.168.1.1/24"], ["192.168.1.100/24"])
        connect(ns0, "vethrs", ns2, "veths", ["10.0.0.1/24"], ["10.0.0.100/24"])
        ns1.ip("route add default via 192.168.1.1")
        ns0.sysctl(ipv4__ip_forward=1)
        ns0.nft(SOURCE_NAT.format(source="192.168.1.0/24", destination="10.0.0.0/24",
                                  to="10.0.0.1"))
        ns0.sysctl(netfilter__nf_conntrack_udp_timeout=2,
                   netfilter__nf_conntrack_udp_timeout_stream=2)
        for site, other in ((n1, n2), (n2, n1)):
            site.configure(other.as_peer())
            site.bring_up()
        n1.daemon.wg("set", "peer", n2.keys.public, "endpoint", "10.0.0.100:2",
                     "persistent-keepalive", "1")
        ping(ns1, n2.inner[4], within=1)
        yield SimpleNamespace(ns0=ns0, ns1=ns1, ns2=ns2, n1=n1, n2=n2)


def udp_socket(machine):
    with machine.entered():
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.settimeout(0.5)
    return made


@pytest.mark.scenario("S14", "a tunnel through a NAT works in both directions")
def test_a_tunnel_through_a_nat(world, seen):
    ping(world.ns1, world.n2.inner[4], within=1)
    ping(world.ns2, world.n1.inner[4], within=1)
    assert world.n2.peer_status(world.n1).endpoint == "10.0.0.1:1"
    seen("n2 shows 10.0.0.1:1")


@pytest.mark.scenario("S15", "a keepalive every second preserves the NAT's mapping")
def test_keepalives_preserve_the_mapping(world, seen):
    with udp_socket(world.ns1) as control, udp_socket(world.ns2) as far:
        far.bind(("10.0.0.100", 7000))
        control.sendto(b"out", ("10.0.0.100", 7000))
        _, outside = far.recvfrom(10)
        time.sleep(3)
        far.sendto(b"back", outside)
        with pytest.raises(TimeoutError):  # otherwise mappings do not expire, and the test proves nothing
            control.recv(10)
    ping(world.ns2, world.n1.inner[4], within=1)
    seen("n1 is reachable after 3 s of silence; a silent socket is not")


@pytest.mark.scenario("S16", "a ping bound to the interface")
def test_a_ping_bound_to_the_interface(world, seen):
    ping(world.ns1, world.n2.inner[4], within=1, options=["-I", "wg1"])
    seen("answered")


@pytest.mark.scenario("S17", "a bound ping, with every packet marked and rerouted")
def test_a_rerouted_ping(world, seen):
    world.ns1.nft(MARK_ALL)
    ping(world.ns1, world.n2.inner[4], within=1, options=["-I", "wg1"])
    ping(world.ns1, world.n2.inner[6], within=1)
    seen("answered")


@pytest.mark.scenario("S18", "a peer whose endpoint is inside the tunnel to another")
def test_an_endpoint_inside_the_tunnel(world, seen):
    n1, n2 = world.n1, world.n2
    with Site(world.ns2, 9, name="wg3", port=5) as n3:
        n3.configure(n1.as_peer(allowed_ips=["192.168.242.1/32"]))
        n1.daemon.wg("set", "peer", n3.keys.public, "allowed-ips", "192.168.242.2/32", "endpoint",
                     f"{n2.inner[4]}:5")
        world.ns2.ip("address add 192.168.242.2/24 dev wg3\nlink set wg3 up")
        world.ns1.ip("address add 192.168.242.1/24 dev wg1")
        ping(world.ns1, "192.168.242.2", within=1)
        assert n3.peer_status(n1).endpoint == f"{n1.inner[4]}:1"
    seen(f"192.168.242.2 answers through {n2.inner[4]}:5")


@pytest.mark.scenario("S20", "wg-quick's policy routing: mark, table and rule")
def test_policy_routing(world, seen):
    n1, n2 = world.n1, world.n2
    world.ns1.ip("address add fc00::9/96 dev vethc nodad\nroute add default via fc00::1")
    world.ns2.ip("address add 192.168.99.7/32 dev wg2\naddress add abab::1111/128 dev wg2 nodad")
    n1.daemon.wg("set", "fwmark", "51820", "peer", n2.keys.public,
                 "allowed-ips", "192.168.99.7,abab::1111,192.168.241.2,fd00::2")
    for family in ("-4", "-6"):
        for command in ("route add default dev wg1 table 51820",
                        "rule add not fwmark 51820 table 51820",
                        "rule add table main suppress_prefixlength 0"):
            world.ns1.run("ip", family, *command.split())
    for address in ("192.168.99.7", "abab::1111"):
        flood(world.ns1, address, count=100)
    seen("200 answers")


@pytest.mark.scenario("S21", "a host behind an end gets an ICMP error for a removed peer")
def test_a_removed_peer_is_unreachable_for_forwarded_packets(world, seen):
    world.ns0.ip("route add 192.168.241.0/24 via 10.0.0.100")
    world.ns2.sysctl(ipv4__ip_forward=1)
    world.ns2.nft(SOURCE_NAT.format(source="10.0.0.0/24", destination="192.168.241.0/24",
                                    to="192.168.241.2"))
    ping(world.ns0, world.n1.inner[4], within=1)
    world.n2.daemon.wg("set", "peer", world.n1.keys.public, "remove")
    said = world.ns0.attempt("ping", "-n", "-c", 1, "-W", 1, world.n1.inner[4]).stdout
    assert "From 192.168.241.1 icmp_seq=1 Destination Host Unreachable" in said, (
        "no ICMP error came: " + said.strip().splitlines()[-1])
    seen("From 192.168.241.1 icmp_seq=1 Destination Host Unreachable")
