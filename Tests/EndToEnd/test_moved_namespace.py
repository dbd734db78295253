"""The interface moves to a namespace without other interfaces, as its default route.

The daemon's sockets stay in the namespace where it started: programs in the jail reach the world
through the tunnel only.

    jail: wg0 (default route)          alice: daemon, eth0 ── bob: daemon, wg0, eth0
"""

import json
import os
import signal
import threading
import time
from types import SimpleNamespace

import pytest

from swireguard_dev.machines import Machine, wait_until
from swireguard_dev.processes import cpu_seconds
from swireguard_dev.topology import (MTU, OUTER, PORT, Site, two_machines,
    wait_for_the_next_initiation)
from swireguard_dev.traffic import (assert_no_answer, exchange_datagrams, full_ping, ping, send_stream)

PUBLIC = {4: "198.51.100.7", 6: "2001:db8::7"}


@pytest.fixture
def world():
    with two_machines() as (alice, bob), Machine("jail") as jail, \
            Site(alice, 1, port=PORT + 1) as a, Site(bob, 2, port=PORT + 2) as b:
        bob.ip("\n".join(f"address add {address} dev lo" for address in PUBLIC.values()))
        b.configure(a.as_peer())
        b.bring_up()
        alice.ip(f"link set wg0 netns {jail.pid}")
        a.configure(b.as_peer(allowed_ips=["0.0.0.0/0", "::/0"],
                              endpoint=f"{OUTER[4][2]}:{b.port}"))
        a.machine = jail  # the namespace of its interface; the daemon stays in alice's
        a.bring_up()
        jail.ip("route add default dev wg0\nroute add ::/0 dev wg0")
        yield SimpleNamespace(alice=alice, jail=jail, bob=bob, a=a, b=b)


def test_the_jail_reaches_the_world_through_the_tunnel_only(world):
    for version in (4, 6):
        ping(world.jail, PUBLIC[version], count=5)
        full_ping(world.jail, PUBLIC[version], MTU)
        ping(world.bob, world.a.inner[version])
        send_stream(world.jail, world.bob, PUBLIC[version], size=20_000_000)
        send_stream(world.bob, world.jail, world.a.inner[version], size=20_000_000)
        exchange_datagrams(world.jail, world.bob, PUBLIC[version], range(0, 1372, 91))
    world.a.daemon.wg("set", "peer", world.b.keys.public, "remove")
    assert_no_answer(world.jail, PUBLIC[4])


def test_the_sockets_stay_where_the_daemon_was_started(world):
    port = f"sport = :{world.a.port}"
    assert world.alice.run("ss", "-Hlun", port)
    assert not world.jail.run("ss", "-Hlun", port)
    world.a.daemon.wg("set", "listen-port", "9999")  # also a new socket
    assert world.alice.run("ss", "-Hlun", "sport = :9999")
    ping(world.jail, PUBLIC[4], within=4)
    assert world.b.peer_status(world.a).endpoint == "10.0.0.1:9999"


def test_down_and_up_take_effect(world):
    ping(world.jail, PUBLIC[4])
    port = world.a.daemon.show().listen_port
    for _ in range(3):
        world.jail.ip("link set wg0 down")
        assert world.jail.attempt("ping", "-c1", "-W1", PUBLIC[4]).returncode != 0
        assert_no_answer(world.bob, world.a.inner[4])
        assert world.a.daemon.show().listen_port == port
        world.jail.ip("link set wg0 up\nroute add default dev wg0")
        ping(world.jail, PUBLIC[4], within=4)


def test_while_down_nothing_is_sent(world):
    ping(world.jail, PUBLIC[4])
    world.a.daemon.wg("set", "peer", world.b.keys.public, "persistent-keepalive", "1")
    world.jail.ip("link set wg0 down")

    def sent():
        return world.a.peer_status(world.b).tx

    before = sent()
    assert_no_answer(world.bob, world.a.inner[4])
    assert_no_answer(world.bob, world.a.inner[4])
    assert sent() == before
    world.jail.ip("link set wg0 up")
    wait_until(lambda: sent() > before, "a peer with a keepalive gets one immediately", within=4)


@pytest.mark.parametrize("mtu", [1280, 1299, 1300, 1420, 9000, 34736])
def test_mtu_changes_take_effect(world, mtu):
    """S7 for a TUN: padding never extends a packet beyond the current MTU."""
    for interface in (world.jail, world.bob):
        interface.ip(f"link set wg0 mtu {mtu}")
    ping(world.jail, PUBLIC[4])
    before = world.a.peer_status(world.b).tx
    full_ping(world.jail, PUBLIC[4], mtu)
    assert world.a.peer_status(world.b).tx - before == 32 + mtu
    send_stream(world.jail, world.bob, PUBLIC[4], size=5_000_000)
    send_stream(world.bob, world.jail, world.a.inner[6], size=5_000_000)


def test_the_largest_mtu_takes_effect(world):
    """A packet of that size fits into no datagram: only such packets are lost."""
    world.jail.ip("link set wg0 mtu 65535")
    world.jail.attempt("ping", "-c", 2, "-i", 0.1, "-W", 0.2, "-s", 65507, PUBLIC[4])
    ping(world.jail, PUBLIC[4], count=3, within=4)


@pytest.mark.parametrize("mtu", [68, 576])
def test_a_small_mtu_takes_effect(world, mtu):
    """IPv6 requires an MTU of 1280."""
    for interface in (world.jail, world.bob):
        interface.ip(f"link set wg0 mtu {mtu}")
    world.jail.ip("route replace default dev wg0")
    full_ping(world.jail, PUBLIC[4], mtu)
    exchange_datagrams(world.jail, world.bob, PUBLIC[4], [0, 1, 100, 500, 2000])


def test_the_mtu_changes_under_a_stream(world):
    def change():
        for mtu in (1280, 1420, 1300, 9000, 1280, 1420):
            for interface in (world.jail, world.bob):
                interface.ip(f"link set wg0 mtu {mtu}")

    ping(world.jail, PUBLIC[4])
    changing = threading.Thread(target=change)
    changing.start()
    send_stream(world.jail, world.bob, PUBLIC[4], size=50_000_000)
    changing.join()
    ping(world.jail, PUBLIC[4])


def test_the_interface_moves_under_traffic(world):
    ping(world.jail, PUBLIC[4])
    with Machine("other") as other:
        world.jail.ip(f"link set wg0 netns {other.pid}")
        world.a.machine = other
        world.a.bring_up()
        other.ip("route add default dev wg0")
        ping(other, PUBLIC[4], within=4)
        other.ip(f"link set wg0 netns {world.alice.pid}")
        world.a.machine = world.alice
        world.a.bring_up()
        ping(world.alice, world.b.inner[4], within=4)


def test_deleting_the_moved_link_ends_the_daemon(world):
    ping(world.jail, PUBLIC[4])
    world.jail.ip("link del wg0")
    world.a.daemon.assert_ends_cleanly(within=10)


def test_deleting_the_socket_file_ends_the_daemon(world):
    os.unlink(world.a.daemon.socket_path)
    world.a.daemon.assert_ends_cleanly(within=10)
    assert not world.jail.has_link("wg0")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_the_daemon_cleanly(world, number):
    ping(world.jail, PUBLIC[4])
    world.a.daemon.stop(with_signal=number, within=10)
    assert not world.jail.has_link("wg0")


def test_after_stop_and_continue_it_works(world):
    ping(world.jail, PUBLIC[4])
    for _ in range(20):
        world.a.daemon.process.send_signal(signal.SIGSTOP)
        world.a.daemon.process.send_signal(signal.SIGCONT)
    ping(world.jail, PUBLIC[4], within=4)


def test_an_idle_tunnel_uses_no_processor_time(world):
    ping(world.jail, PUBLIC[4])
    before = cpu_seconds(world.a.daemon.pid)
    time.sleep(2)
    # In units of 0.01 s.
    assert cpu_seconds(world.a.daemon.pid) - before < 0.045


@pytest.fixture
def out_of_sight():
    """As in a container with only CAP_NET_ADMIN: no events arrive, so the daemon polls the link."""
    before = ["setpriv", "--bounding-set", "-net_broadcast", "--inh-caps", "-net_broadcast"]
    with two_machines() as (alice, bob), Machine("jail") as jail, \
            Site(alice, 1, port=PORT + 1, before=before) as a, Site(bob, 2, port=PORT + 2) as b:
        b.configure(a.as_peer(endpoint=f"{OUTER[4][1]}:{a.port}"))
        b.bring_up()
        a.configure(b.as_peer())
        alice.ip(f"link set wg0 netns {jail.pid}")
        a.machine = jail
        a.bring_up()
        wait_until(lambda: "is up" in a.daemon.log_text(), "up is seen", within=10)
        yield jail, bob, a, b


def test_a_move_is_noticed_without_the_right_to_receive_events(out_of_sight):
    jail, bob, a, b = out_of_sight
    ping(bob, a.inner[4], within=7)  # the other end initiates
    ping(jail, b.inner[4])
    jail.ip("link set wg0 down")
    wait_until(lambda: "is down" in a.daemon.log_text(), "down is seen", within=10)
    jail.ip("link set wg0 mtu 1300 up")
    wait_until(lambda: a.daemon.log_text().count("is up") == 2, "up is seen", within=10)
    wait_for_the_next_initiation()
    full_ping(jail, b.inner[4], 1300, within=7)


def test_forwarding_is_noticed_without_the_right_to_receive_events(out_of_sight):
    """The kernel coalesces forwarded packets up to its own limit, which becomes the device's."""
    jail, *_ = out_of_sight

    def largest_superpacket():
        return json.loads(jail.run("ip", "-json", "-details", "link", "show", "wg0"))[0]["gso_max_size"]

    wait_until(lambda: largest_superpacket() < 65536, "it is fitted", within=10)
    for setting in ("ipv4__ip_forward", "ipv6__conf__all__forwarding"):
        jail.sysctl(**{setting: 1})
        wait_until(lambda: largest_superpacket() == 65536, "forwarding is seen", within=10)
        jail.sysctl(**{setting: 0})
        wait_until(lambda: largest_superpacket() < 65536, "the end of forwarding is noticed", within=10)
