"""Repeated events on the host under load: a ping succeeds within a second.

Ten repetitions each, a hundred with --long.
"""

import signal
import threading
import time

import pytest

from swireguard_dev.datagrams import background
from swireguard_dev.machines import Machine, wait_until
from swireguard_dev.processes import belongings
from swireguard_dev.topology import (MTU, OUTER, PORT, Site, two_machines, two_sites,
    wait_for_the_next_initiation)
from swireguard_dev.traffic import ping, ping_until_answered


@pytest.fixture
def times(request):
    return range(100 if request.config.getoption("--long") else 10)


@pytest.fixture
def sites():
    """Both ends know each other's endpoint, so that either can reach the other again."""
    with two_machines() as (alice, bob), Site(alice, 1, port=PORT + 1) as a, \
            Site(bob, 2, port=PORT + 2) as b:
        a.configure(b.as_peer(endpoint=f"{OUTER[4][2]}:{b.port}"))
        b.configure(a.as_peer(endpoint=f"{OUTER[4][1]}:{a.port}"))
        for site in (a, b):
            site.bring_up()
        ping(a.machine, b.inner[4])
        yield a, b


@pytest.fixture
def under_load(sites):
    """Traffic in both directions; afterwards the daemons have their initial descriptors and threads."""
    a, b = sites
    before = [belongings(site.daemon.pid) for site in sites]
    with background((a.machine, b.inner[4]), (b.machine, a.inner[4]), (a.machine, b.inner[6])):
        yield a, b
    assert [belongings(site.daemon.pid) for site in sites] == before


@pytest.fixture(autouse=True)
def waits():
    """How long each answer took: at most a second, except for a few when the host itself is busy."""
    WAITS.clear()
    yield
    late = [wait for wait in WAITS if wait > 1]
    assert len(late) <= len(WAITS) // 20, f"more than 1 s, out of {len(WAITS)}: {late}"


WAITS = []


def find(machine, address, **options):
    """Pings until an answer arrives, before the next initiation, which would follow 5 s later."""
    begun = time.monotonic()
    ping_until_answered(machine, address, within=4, **options)
    WAITS.append(time.monotonic() - begun)


def assert_both_find_each_other(a, b):
    find(a.machine, b.inner[4])
    find(b.machine, a.inner[6])


@pytest.mark.limit(120)
def test_down_and_up(under_load, times):
    a, b = under_load
    for _ in times:
        wait_for_the_next_initiation()
        a.go_down_and_up()
        assert_both_find_each_other(a, b)


@pytest.mark.limit(120)
def test_every_mtu(under_load, times):
    a, b = under_load
    mtus = [68, 69, 576, 1279, 1280, 1281, 1419, 1420, 1421, 1500, 9000, 32768, 65534, 65535]
    for number in times:
        mtu = mtus[number % len(mtus)]
        a.machine.ip(f"link set wg0 mtu {mtu}")
        find(a.machine, b.inner[4], size=min(mtu, 200) - 28)
        find(b.machine, a.inner[4], size=min(mtu, 200) - 28)
    a.machine.ip(f"link set wg0 mtu {MTU}\naddress replace {a.inner[6]}/112 dev wg0 nodad")
    assert_both_find_each_other(a, b)


@pytest.mark.limit(120)
def test_inner_addresses_are_removed_and_added(under_load, times):
    a, b = under_load
    for _ in times:
        a.machine.ip(f"address flush dev wg0\naddress add {a.inner[4]}/24 dev wg0\n"
                     f"address add {a.inner[6]}/112 dev wg0 nodad")
        assert_both_find_each_other(a, b)


@pytest.mark.limit(120)
def test_outer_addresses_are_replaced(under_load, times):
    """Removes the source in use, and with it the endpoint that the other end knows."""
    a, b = under_load
    for number in times:
        a.machine.ip(f"address flush dev eth0 scope global\n"
                     f"address add 10.0.0.{10 + number}/24 dev eth0")
        assert_both_find_each_other(a, b)
        address = f"10.0.0.{10 + number}:{a.port}"
        wait_until(lambda: b.peer_status(a).endpoint == address, "it is followed")


@pytest.mark.limit(120)
def test_the_cable_is_unplugged_and_plugged(under_load, times):
    a, b = under_load
    for _ in times:
        a.machine.ip("link set eth0 down\nlink set eth0 up")
        ping_until_answered(a.machine, OUTER[4][2], within=5)  # until the kernel sees the carrier
        assert_both_find_each_other(a, b)


@pytest.mark.limit(120)
def test_moves_between_namespaces(sites, times):
    a, b = sites
    home = a.machine
    before = belongings(a.daemon.pid)
    with Machine("jail") as jail:
        for number in times:
            place = home if number % 2 else jail
            with background((a.machine, b.inner[4]), (b.machine, a.inner[4])):
                a.machine.ip(f"link set wg0 netns {place.pid}")
            a.machine = place
            a.bring_up()
            wait_for_the_next_initiation()
            with background((b.machine, a.inner[4])):
                assert_both_find_each_other(a, b)
        if a.machine is jail:
            jail.ip(f"link set wg0 netns {home.pid}")
            a.machine = home
    assert belongings(a.daemon.pid) == before


@pytest.mark.limit(120)
def test_the_other_end_suspends_and_resumes(under_load, times):
    a, b = under_load
    for _ in times:
        b.daemon.process.send_signal(signal.SIGSTOP)
        threading.Event().wait(0.02)
        b.daemon.process.send_signal(signal.SIGCONT)
        assert_both_find_each_other(a, b)


@pytest.mark.limit(120)
def test_deleting_namespaces_in_use_leaves_nothing(times):
    """S39 and S40, with packets in flight."""
    for _ in times[::5]:
        with Machine("jail") as jail, Machine("cell") as cell, two_sites() as (a, b):
            homes = [site.machine for site in (a, b)]
            for site, place in ((a, jail), (b, cell)):
                site.machine.ip(f"link set wg0 netns {place.pid}")
                site.machine = place
                site.bring_up()
            ping(jail, b.inner[4], within=4)
            with background((jail, b.inner[4]), (cell, a.inner[4])):
                for place in (jail, cell):
                    place.holder.kill()
                    place.holder.wait()
            for site, home in zip((a, b), homes):
                site.daemon.assert_ends_cleanly(within=10)
                assert home.processes(site.daemon.program) == []
