"""Nested tunnels: each level's endpoint is an inner address of the level below.

    alice                                     bob
    wg2  192.168.242.1 ···································· wg2  192.168.242.2
    wg1  192.168.241.1 ····················· wg1  192.168.241.2
    wg0  192.168.240.1 ······ wg0  192.168.240.2
    eth0 10.0.0.1 ─────────── eth0 10.0.0.2
"""

import contextlib
import time

import pytest

from swireguard_dev.machines import wait_until
from swireguard_dev.processes import cpu_seconds
from swireguard_dev.topology import OUTER, PORT, Site, two_machines, wait_for_the_next_initiation
from swireguard_dev.traffic import full_ping, ping, send_stream

AROUND = 60  # bytes of outer IPv4, UDP and message


@contextlib.contextmanager
def tower(levels):
    """The tunnels from the lowest to the highest level, as pairs of sites."""
    with contextlib.ExitStack() as stack:
        alice, bob = stack.enter_context(two_machines())
        pairs, endpoint = [], OUTER[4][2]
        for level in range(levels):
            pair = [stack.enter_context(Site(machine, number, name=f"wg{level}", port=PORT + level))
                    for number, machine in ((1, alice), (2, bob))]
            for number, site in enumerate(pair, 1):
                site.inner[4] = f"192.168.{240 + level}.{number}"
            a, b = pair
            a.configure(b.as_peer(endpoint=f"{endpoint}:{b.port}",
                                  allowed_ips=[f"{b.inner[4]}/32"]))
            b.configure(a.as_peer(allowed_ips=[f"{a.inner[4]}/32"]))
            for site in pair:
                site.machine.ip(f"address add {site.inner[4]}/24 dev wg{level}\n"
                                f"link set wg{level} mtu {1420 - level * AROUND} up")
            endpoint = b.inner[4]
            pairs.append(pair)
        yield pairs


@pytest.mark.scenario("X2", "three nested tunnels")
def test_three_nested_tunnels(seen):
    """The first packet starts three handshakes, each through the tunnel below."""
    with tower(3) as pairs:
        a, b = pairs[-1]
        ping(a.machine, b.inner[4], within=4)
        full_ping(a.machine, b.inner[4], mtu=1300)
        full_ping(b.machine, a.inner[4], mtu=1300)
        send_stream(a.machine, b.machine, b.inner[4], size=5_000_000)
        send_stream(b.machine, a.machine, a.inner[4], size=5_000_000)
        assert a.peer_status(b).endpoint.startswith("192.168.241.2:")
        seen("the first ping is answered; 5 MB in each direction")


@pytest.mark.scenario("X3", "the lowest tunnel gets a new session, the inner ones keep theirs")
def test_a_lower_tunnel_gets_a_new_session(seen):
    with tower(2) as ((low_a, low_b), (a, b)):
        ping(a.machine, b.inner[4])
        handshake = a.peer_status(b).latest_handshake
        for site in (low_a, low_b):
            site.go_down_and_up()
        wait_for_the_next_initiation()
        ping(a.machine, b.inner[4], within=4)
        assert a.peer_status(b).latest_handshake == handshake
        seen("the next ping is answered, in the same session")


@pytest.mark.scenario("X4", "two tunnels routed into each other, without sessions")
def test_tunnels_routed_into_each_other(seen):
    """Neither can send what the other waits for; nothing spins, and removing the route fixes both."""
    with tower(2) as ((low_a, low_b), (a, b)):
        low_a.machine.ip(f"route add {OUTER[4][2]} dev wg1")
        low_a.daemon.wg("set", "peer", low_b.keys.public, "allowed-ips", "0.0.0.0/0")
        a.daemon.wg("set", "peer", b.keys.public, "allowed-ips", "0.0.0.0/0")
        begun = time.monotonic()
        before = cpu_seconds(low_a.daemon.pid) + cpu_seconds(a.daemon.pid)
        a.machine.attempt("ping", "-c", 5, "-i", 0.2, "-W", 0.5, b.inner[4])
        used = cpu_seconds(low_a.daemon.pid) + cpu_seconds(a.daemon.pid) - before
        elapsed = time.monotonic() - begun
        assert used < 0.2 * elapsed, f"{used:.1f} s of processor for five packets"
        a.machine.ip(f"route del {OUTER[4][2]} dev wg1")
        wait_until(lambda: a.machine.attempt("ping", "-c", 1, "-W", 2, b.inner[4]).returncode == 0,
                   "the tunnels work", within=25)
        seen(f"{used:.2f} s of processor, both work after the route is removed")
