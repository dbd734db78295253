"""From which address and by which link datagrams leave.

                 wan1 10.1.0.2, fd00:1::2                    10.3.0.2, fd00:3::2
    client ══════                        ══ router ── server
                 wan2 10.2.0.2, fd00:2::2                    10.3.0.3, fd00:3::3
"""

import contextlib

import pytest

from swireguard_dev.capture import Capture, source
from swireguard_dev.datagrams import background
from swireguard_dev.machines import Machine, connect, wait_until
from swireguard_dev.topology import PORT, Site, socket_address, two_machines
from swireguard_dev.traffic import ping, ping_until_answered

WAN1 = {4: "10.1.0.2", 6: "fd00:1::2"}
WAN2 = {4: "10.2.0.2", 6: "fd00:2::2"}
ROUTER1 = {4: "10.1.0.1", 6: "fd00:1::1"}
ROUTER2 = {4: "10.2.0.1", 6: "fd00:2::1"}
SERVER = {4: "10.3.0.2", 6: "fd00:3::2"}
SECOND = {4: "10.3.0.3", 6: "fd00:3::3"}
SERVERS = {4: "10.3.0.0/24", 6: "fd00:3::/64"}
VERSIONS = pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])


def ip(machine, version, commands):
    """Runs lines of `ip` commands for one IP version."""
    machine.run("ip", f"-{version}", "-batch", "-", input=commands.strip() + "\n")


def networks(*addresses):
    return [f"{each}/{64 if ':' in each else 24}" for each in addresses]


@contextlib.contextmanager
def two_uplinks():
    """The machines, with routes by wan1 only, and a site on client and on server without peers."""
    with Machine("client") as client, Machine("router") as router, Machine("server") as server:
        for left, name, right, wire, ours, theirs in [
                (client, "wan1", router, "r1", WAN1, ROUTER1),
                (client, "wan2", router, "r2", WAN2, ROUTER2),
                (router, "r3", server, "eth0", {4: "10.3.0.1", 6: "fd00:3::1"}, SERVER)]:
            connect(left, name, right, wire, networks(*ours.values()), networks(*theirs.values()))
        for machine in (client, router, server):
            machine.sysctl(ipv4__conf__all__rp_filter=0, ipv4__conf__default__rp_filter=0)
        for machine, name in [(client, "wan1"), (client, "wan2"), (router, "r1"), (router, "r2")]:
            machine.sysctl(**{f"ipv4__conf__{name}__rp_filter": 0})
        router.sysctl(ipv4__ip_forward=1, ipv6__conf__all__forwarding=1)
        server.ip("address add 10.3.0.3/24 dev eth0\n"
                  "address add fd00:3::3/64 dev eth0 nodad preferred_lft 0\n"
                  "route add default via 10.3.0.1\nroute add default via fd00:3::1")
        for version in (4, 6):
            client.ip(f"route add {SERVERS[version]} via {ROUTER1[version]} dev wan1 metric 100")
        with Site(client, 1, port=PORT + 1) as a, Site(server, 2, port=PORT + 2) as b:
            yield a, b


@contextlib.contextmanager
def tunnel(dialled):
    """A tunnel that the client opened to an address of the server."""
    with two_uplinks() as (a, b):
        a.configure(b.as_peer(endpoint=socket_address(dialled, b.port)))
        b.configure(a.as_peer())
        for site in (a, b):
            site.bring_up()
        ping(a.machine, b.inner[4])
        yield a, b


def addresses_used(capture, site, others=()):
    """The source addresses of the datagrams of a site that were captured since the last call."""
    used = {source(packet) for packet in capture.packets()}
    return {each[0] for each in used if each and each[1] == site.port and each[0] not in others}


def wait_until_it_leaves_by(capture, site, address):
    wait_until(lambda: address in addresses_used(capture, site), f"datagrams from {address}")


# Each makes the client's datagrams leave by wan2.

def add_a_better_route(client, version):
    client.ip(f"route add {SERVERS[version]} via {ROUTER2[version]} dev wan2 metric 50")


def add_a_policy_rule(client, version):
    ip(client, version, f"rule add to {SERVERS[version]} lookup 100")


def replace_the_next_hop(client, version):
    ip(client, version, f"nexthop replace id 1 via {ROUTER2[version]} dev wan2")


def take_the_link_down(client, version):
    client.ip("link set wan1 down")


CHANGES = pytest.mark.parametrize(
    "change", [add_a_better_route, add_a_policy_rule, replace_the_next_hop, take_the_link_down],
    ids=lambda change: change.__name__.replace("_", " "))


def prepare(client, version, change):
    if change is add_a_policy_rule:
        ip(client, version, f"route add default via {ROUTER2[version]} dev wan2 table 100")
    if change is replace_the_next_hop:
        ip(client, version, f"""
            nexthop add id 1 via {ROUTER1[version]} dev wan1
            route add {SERVERS[version]} nhid 1 metric 60""")
    if change is take_the_link_down:
        client.ip(f"route add {SERVERS[version]} via {ROUTER2[version]} dev wan2 metric 200")


@VERSIONS
@CHANGES
def test_the_tunnel_follows_the_route_under_traffic(version, change):
    """Streams in both directions. The source follows too: networks refuse that of another link."""
    with tunnel(SERVER[version]) as (a, b):
        prepare(a.machine, version, change)
        with background((a.machine, b.inner[4]), (b.machine, a.inner[4])), \
                Capture(a.machine, "wan2") as wan2:
            change(a.machine, version)
            expected = WAN2[version]
            wait_until_it_leaves_by(wan2, a, expected)
            wait_until(lambda: b.peer_status(a).endpoint == socket_address(expected, a.port),
                       f"the server sends to {expected}")
            wan2.packets()
            if change is not take_the_link_down:
                with Capture(a.machine, "wan1") as wan1:
                    wait_until_it_leaves_by(wan2, a, expected)
                    assert not addresses_used(wan1, a)
        ping(a.machine, b.inner[6], within=3)


@VERSIONS
def test_the_tunnel_follows_the_route_when_idle(version):
    with tunnel(SERVER[version]) as (a, b), Capture(a.machine, "wan1") as wan1:
        add_a_better_route(a.machine, version)
        wan1.packets()
        ping(a.machine, b.inner[4], within=3)
        ping(a.machine, b.inner[6], within=3)
        assert not addresses_used(wan1, a)


@VERSIONS
def test_an_answer_takes_the_only_route_back(version):
    """Datagrams arrive at wan1, and the only route back is by wan2. Nothing is asked for on wan1."""
    with two_uplinks() as (hub, spoke):
        hub.machine.ip(f"route del {SERVERS[version]}")
        add_a_better_route(hub.machine, version)
        hub.configure(spoke.as_peer())
        spoke.configure(hub.as_peer(endpoint=socket_address(WAN1[version], hub.port)))
        for site in (hub, spoke):
            site.bring_up()
        ping(spoke.machine, hub.inner[4], within=3)
        ping(hub.machine, spoke.inner[6], within=3)
        assert SERVER[version] not in hub.machine.run("ip", "neighbour", "show", "dev", "wan1")
        if version == 4:
            # As in the kernel: the address of the other link is no source for this one.
            assert spoke.peer_status(hub).endpoint == socket_address(WAN2[4], hub.port)


UNRELATED = [(6 if "2001:" in event else 4, event.strip()) for event in """
    link add other0 type veth peer name other1
    link set other0 up
    link set other1 up
    address add 198.51.100.1/24 dev other0
    address add 2001:db8::1/64 dev other0 nodad
    route add 203.0.113.1/32 dev lo
    route add 2001:db8:1::/64 dev lo
    rule add to 203.0.113.0/24 lookup 77
    rule add to 2001:db8:2::/64 lookup 77
    nexthop add id 9 dev other0
    address del 198.51.100.1/24 dev other0
    link set other0 down
    link del other0
    route del 203.0.113.1/32 dev lo""".strip().splitlines()]


@VERSIONS
@pytest.mark.parametrize("traffic", [True, False], ids=["under traffic", "idle"])
def test_unrelated_events_leave_the_dialled_source(version, traffic):
    """The client dials the second address of the server, and accepts datagrams from no other."""
    with tunnel(SECOND[version]) as (a, b):
        a.machine.nft(f"table inet kill {{ chain in {{ type filter hook input priority 0; "
                      f"udp sport {b.port} {'ip6' if version == 6 else 'ip'} saddr != "
                      f"{SECOND[version]} drop\n}}\n}}")
        flows = [(b.machine, a.inner[4]), (a.machine, b.inner[4])] if traffic else []
        with Capture(b.machine, "eth0") as wire, background(*flows):
            for event in UNRELATED:
                ip(b.machine, *event)
                if not traffic:
                    ping(b.machine, a.inner[4], within=3)
            ping(b.machine, a.inner[6], within=3)
            assert addresses_used(wire, b) == {SECOND[version]}
        assert a.peer_status(b).endpoint == socket_address(SECOND[version], b.port)


@VERSIONS
def test_a_source_that_moves_to_another_link_stays(version):
    """The route still leaves by the link of arrival, and the address is still the server's."""
    with tunnel(SECOND[version]) as (a, b):
        length = 32 if version == 4 else 128
        with Capture(b.machine, "eth0") as wire, background((b.machine, a.inner[4])):
            b.machine.ip(f"address add {SECOND[version]}/{length} dev lo")
            b.machine.ip(f"address del {networks(SECOND[version])[0]} dev eth0")
            for _ in range(3):
                ping(b.machine, a.inner[6], within=3)
            assert addresses_used(wire, b) == {SECOND[version]}


@VERSIONS
def test_a_handshake_message_refused_for_its_source_is_repeated_without_it(version):
    with tunnel(SECOND[version]) as (a, b):
        b.go_down_and_up()
        b.machine.ip(f"address del {networks(SECOND[version])[0]} dev eth0")
        ping(b.machine, a.inner[4], within=3)
        assert a.peer_status(b).endpoint == socket_address(SERVER[version], b.port)


@VERSIONS
def test_a_missing_route_does_not_cost_the_source(version):
    """While there is no route, sends are refused. Afterwards they leave from the dialled address."""
    with tunnel(SECOND[version]) as (a, b):
        gateway = "10.3.0.1" if version == 4 else "fd00:3::1"
        with Capture(b.machine, "eth0") as wire, background((b.machine, a.inner[4])):
            for _ in range(3):
                ip(b.machine, version, "route del default")
                ip(b.machine, version, f"route add default via {gateway}")
                ping_until_answered(b.machine, a.inner[6], within=3)
            assert addresses_used(wire, b) == {SECOND[version]}


def test_next_hops_of_equal_weight_do_not_alternate():
    """A route with two next hops: events do not make the tunnel change its link or source."""
    with tunnel(SERVER[4]) as (a, b):
        a.machine.ip(f"route replace {SERVERS[4]} metric 10 "
                     "nexthop via 10.1.0.1 dev wan1 nexthop via 10.2.0.1 dev wan2")
        for _ in range(3):
            ping(a.machine, b.inner[4], within=3)
        with Capture(a.machine, "wan1") as wan1, Capture(a.machine, "wan2") as wan2, \
                background((a.machine, b.inner[4])):
            for event in UNRELATED:
                ip(a.machine, *event)
            ping(a.machine, b.inner[6], within=3)
            ways = {(name, address) for name, capture in [("wan1", wan1), ("wan2", wan2)]
                    for address in addresses_used(capture, a)}
        assert len(ways) == 1, ways


@pytest.mark.parametrize("traffic", [True, False], ids=["under traffic", "idle"])
def test_a_link_local_tunnel_keeps_its_scope(traffic):
    """Events of routes, and a second link with the same prefix, leave a link-local tunnel alone."""
    with two_machines() as (alice, bob), Site(alice, 1, port=PORT + 1) as a, \
            Site(bob, 2, port=PORT + 2) as b:
        connect(alice, "eth1", bob, "eth1", mtu=1500)
        bob.ip("address add fe80::b0b/64 dev eth0 nodad")
        alice.ip("address add fe80::a/64 dev eth0 nodad")
        a.configure(b.as_peer(endpoint=f"[fe80::b0b%eth0]:{b.port}"))
        b.configure(a.as_peer())
        for site in (a, b):
            site.bring_up()
        ping(alice, b.inner[4])
        before = b.peer_status(a).endpoint
        flows = [(bob, a.inner[4]), (alice, b.inner[4])] if traffic else []
        with Capture(bob, "eth0") as wire, Capture(bob, "eth1") as other, background(*flows):
            for event in UNRELATED:
                ip(bob, *event)
            ip(bob, 6, "route add fe80::/64 dev eth1 metric 1")
            for _ in range(3):
                ping(bob, a.inner[6], within=3)
            assert addresses_used(wire, b) == {"fe80::b0b"}
            assert not addresses_used(other, b)
        assert b.peer_status(a).endpoint == before
        assert a.peer_status(b).endpoint == f"[fe80::b0b%eth0]:{b.port}"
