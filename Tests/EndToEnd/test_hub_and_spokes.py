"""A hub with a public address, a spoke behind a NAT, and a roaming spoke.

    camera ── alice ── nat ──┐
    192.168.50.9  │          │          hub      203.0.113.1     wg0 192.168.241.1
    192.168.1.100 ┘       internet ──── nat      198.51.100.1
                             │          alice    192.168.1.100   wg0 192.168.241.2
     bob: wifi or mobile ────┘          bob      192.0.2.1 or .129, wg0 192.168.241.3

The camera is unaware of the tunnel: alice masquerades packets to it.
"""

import contextlib
import threading
import time
from types import SimpleNamespace

import pytest

from swireguard_dev.machines import Machine, connect, wait_until
from swireguard_dev.topology import PORT, Site
from swireguard_dev.traffic import full_ping, ping, send_stream

TUNNEL = ["192.168.241.0/24", "fd00::/112"]
CAMERAS = "192.168.50.0/24"
CAMERA = "192.168.50.9"

MASQUERADE = """
table ip nat {{
    chain postrouting {{
        type nat hook postrouting priority 100
        oifname "{outside}" masquerade
    }}
}}
"""


@pytest.fixture
def world():
    with contextlib.ExitStack() as stack:
        machine = {name: stack.enter_context(Machine(name))
                   for name in ("internet", "hub", "nat", "alice", "bob", "camera")}
        world = SimpleNamespace(**machine)
        lay_cables(world)
        sites = [Site(world.hub, 1, port=PORT), Site(world.alice, 2, port=PORT),
                 Site(world.bob, 3, port=PORT)]
        world.hub_site, world.alice_site, world.bob_site = map(stack.enter_context, sites)
        dig_tunnels(world)
        yield world


def lay_cables(world):
    internet = world.internet
    connect(internet, "hub", world.hub, "eth0", ["203.0.113.254/24"], ["203.0.113.1/24"])
    connect(internet, "nat", world.nat, "wan", ["198.51.100.254/24"], ["198.51.100.1/24"])
    connect(internet, "wifi", world.bob, "wifi", ["192.0.2.126/25"], ["192.0.2.1/25"])
    connect(internet, "mobile", world.bob, "mobile", ["192.0.2.254/25"], ["192.0.2.129/25"])
    connect(world.nat, "lan", world.alice, "eth0", ["192.168.1.1/24"], ["192.168.1.100/24"])
    connect(world.alice, "cameras", world.camera, "eth0", ["192.168.50.1/24"], [f"{CAMERA}/24"])
    for machine, gateway in [(world.hub, "203.0.113.254"), (world.nat, "198.51.100.254"),
                             (world.alice, "192.168.1.1"), (world.bob, "192.0.2.126")]:
        machine.ip(f"route add default via {gateway}")
    for router in (internet, world.nat, world.alice, world.hub):
        router.sysctl(ipv4__ip_forward=1, ipv6__conf__all__forwarding=1)
    world.nat.nft(MASQUERADE.format(outside="wan"))
    world.nat.sysctl(netfilter__nf_conntrack_udp_timeout=2,
                     netfilter__nf_conntrack_udp_timeout_stream=2)
    world.alice.nft(MASQUERADE.format(outside="cameras"))


def dig_tunnels(world):
    hub, alice, bob = world.hub_site, world.alice_site, world.bob_site
    hub.configure(alice.as_peer(allowed_ips=[*alice.host_routes, CAMERAS]), bob.as_peer())
    endpoint = f"203.0.113.1:{PORT}"
    alice.configure(hub.as_peer(allowed_ips=TUNNEL, endpoint=endpoint, keepalive=1))
    bob.configure(hub.as_peer(allowed_ips=[*TUNNEL, CAMERAS], endpoint=endpoint, keepalive=1))
    for site in (hub, alice, bob):
        site.bring_up()
    for machine in (world.hub, world.bob):
        machine.ip(f"route add {CAMERAS} dev wg0")
    for site in (alice, bob):
        wait_until(lambda: hub.peer_status(site).latest_handshake, "the spoke has a handshake")


def test_spokes_reach_each_other_through_the_hub(world):
    alice, bob = world.alice_site, world.bob_site
    for version in (4, 6):
        ping(world.bob, alice.inner[version], count=5)
        ping(world.alice, bob.inner[version], count=5)
        full_ping(world.bob, alice.inner[version], mtu=1420)
        send_stream(world.bob, world.alice, alice.inner[version], size=10_000_000)
        send_stream(world.alice, world.bob, bob.inner[version], size=10_000_000)
    assert world.hub_site.peer_status(alice).endpoint.startswith("198.51.100.1:")
    assert world.hub_site.peer_status(bob).endpoint == f"192.0.2.1:{PORT}"


@pytest.mark.scenario("K9", "a hub sends no ICMP redirects")
def test_the_hub_sends_no_redirects(world, seen):
    """A router sends one redirect for each packet that leaves by the interface it came in on."""
    ping(world.bob, world.alice_site.inner[4], count=20)
    ping(world.bob, world.alice_site.inner[6], count=20)
    with open(f"/proc/{world.hub.pid}/net/snmp") as file:
        names, values = [line.split() for line in file if line.startswith("Icmp:")]
    sent = dict(zip(names, values))["OutRedirects"]
    assert sent == "0", f"{sent} ICMP redirects were sent"
    with open(f"/proc/{world.hub.pid}/net/snmp6") as file:
        sent = dict(line.split() for line in file)["Icmp6OutRedirects"]
    assert sent == "0", f"{sent} ICMPv6 redirects were sent"
    seen("none for 40 pings between two spokes")


def test_keepalives_preserve_the_nat_mapping(world):
    """S15: the NAT's mappings expire after 2 s; the test waits 3 s without other traffic."""
    time.sleep(3)
    ping(world.hub, world.alice_site.inner[4], within=4)
    ping(world.bob, world.alice_site.inner[4], within=4)


def test_the_nat_mapping_expires_without_keepalives(world):
    """Control for the test above: shows that the topology behaves as described."""
    world.alice_site.daemon.wg("set", "peer", world.hub_site.keys.public,
                               "persistent-keepalive", "0")
    ping(world.hub, world.alice_site.inner[4])
    time.sleep(3)
    assert world.hub.attempt("ping", "-c", 1, "-W", 1, world.alice_site.inner[4]).returncode != 0


def test_cameras_behind_a_spoke_are_reached_from_the_other(world):
    ping(world.bob, CAMERA, count=5)
    send_stream(world.bob, world.camera, CAMERA, size=10_000_000)
    ping(world.hub, CAMERA)


def test_a_camera_is_unreachable_for_a_peer_without_the_allowed_ip(world):
    """The hub drops packets that alice sends from an address she does not own."""
    world.hub_site.daemon.wg("set", "peer", world.alice_site.keys.public, "allowed-ips",
                             ",".join(world.alice_site.host_routes))
    result = world.bob.attempt("ping", "-n", "-c", 3, "-i", 0.2, "-W", 0.6, CAMERA)
    assert " 0 received" in result.stdout
    ping(world.bob, world.alice_site.inner[4])


def test_a_download_survives_a_change_of_network(world):
    """Bob moves from wifi to the mobile network; the hub learns the endpoint from his next packet."""
    bob, hub = world.bob_site, world.hub_site

    def leave_the_wifi():
        time.sleep(0.7)
        world.bob.ip("""
            address flush dev wifi
            link set wifi down
            route add default via 192.0.2.254""")

    leaving = threading.Thread(target=leave_the_wifi)
    leaving.start()
    took = send_stream(world.alice, world.bob, bob.inner[4], size=8_000_000, pace=4_000_000)
    leaving.join()
    assert took > 1.5, "the download ended before Bob moved"
    wait_until(lambda: hub.peer_status(bob).endpoint == f"192.0.2.129:{PORT}", "Bob is followed")
    ping(world.alice, bob.inner[4])


def test_a_spoke_recovers_when_the_nat_changes_its_address(world):
    """The router gets a new public address, and alice's mappings are lost with the old one."""
    world.nat.ip("""
        address del 198.51.100.1/24 dev wan
        address add 198.51.100.2/24 dev wan
        route add default via 198.51.100.254""")
    world.nat.run("nft", "flush", "ruleset")
    world.nat.nft(MASQUERADE.format(outside="wan"))
    wait_until(lambda: world.hub_site.peer_status(world.alice_site).endpoint.startswith(
        "198.51.100.2:"), "the hub learns the new address", within=10)
    ping(world.bob, world.alice_site.inner[4])
