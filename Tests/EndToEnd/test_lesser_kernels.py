"""Kernels that lack features, and missing rights: the tunnel works with what is available."""

import errno
import socket
import sys
import time

import pytest

from swireguard_dev.capture import Capture
from swireguard_dev.lesser_kernel import LACKS, __file__ as lesser_kernel
from swireguard_dev.processes import cpu_seconds
from swireguard_dev.topology import MTU, PORT, Site, two_machines, two_sites
from swireguard_dev.traffic import (assert_no_answer, exchange_datagrams, full_ping, ping,
    send_stream)


def lacking(what):
    return [sys.executable, lesser_kernel, what]


@pytest.mark.parametrize("outer", [4, 6])
@pytest.mark.parametrize("lack", [lack for lack in LACKS if lack != "IPv6"])
def test_a_tunnel_carries_everything_without(lack, outer):
    with two_sites(outer=outer, before=lacking(lack)) as (a, b):
        for version in (4, 6):
            ping(a.machine, b.inner[version], count=3)
            full_ping(a.machine, b.inner[version], MTU)
            send_stream(a.machine, b.machine, b.inner[version], size=20_000_000)
            send_stream(b.machine, a.machine, a.inner[version], size=20_000_000)
            exchange_datagrams(a.machine, b.machine, b.inner[version], [0, 1, 1372, 5000, 20000])


def test_a_kernel_without_segmentation_gets_no_segmented_sends():
    """It would ignore the option and send a run of datagrams as one."""
    with two_sites(before=lacking("UDP_SEGMENT")) as (a, b), Capture(a.machine, "eth0") as capture:
        ping(a.machine, b.inner[4])
        send_stream(a.machine, b.machine, b.inner[4], size=2_000_000)
        assert 1400 < max(map(len, capture.packets())) <= 1500


def test_a_mark_without_the_right_is_refused_and_the_old_sockets_keep_working():
    with two_sites(before=lacking("the right to set marks")) as (a, b):
        ping(a.machine, b.inner[4])
        before = a.daemon.get()
        answer = a.daemon.ask(f"set=1\nfwmark=5\nlisten_port=5000\npublic_key={'ab' * 32}\n\n")
        assert answer == f"errno=-{errno.EPERM}\n\n"
        assert [pair[0] for pair in a.daemon.get()] == [pair[0] for pair in before]
        assert a.daemon.show().listen_port == a.port
        ping(a.machine, b.inner[4])
        ping(b.machine, a.inner[4])


@pytest.fixture(params=["switched off", "compiled out"])
def without_ipv6(request):
    before = lacking("IPv6") if request.param == "compiled out" else ()
    with two_machines() as (alice, bob):
        if request.param == "switched off":
            for machine in (alice, bob):
                machine.sysctl(ipv6__conf__all__disable_ipv6=1,
                               ipv6__conf__default__disable_ipv6=1)
        with Site(alice, 1, port=PORT + 1, before=before) as a, \
                Site(bob, 2, port=PORT + 2, before=before) as b:
            a.configure(b.as_peer(endpoint=f"10.0.0.2:{b.port}"))
            b.configure(a.as_peer())
            for site in (a, b):
                site.machine.ip(f"address add {site.inner[4]}/24 dev wg0\n"
                                f"link set wg0 mtu {MTU} up")
            yield a, b


def test_without_ipv6_ipv4_works(without_ipv6):
    a, b = without_ipv6
    ping(a.machine, b.inner[4], count=3)
    send_stream(a.machine, b.machine, b.inner[4], size=5_000_000)
    assert a.daemon.show().listen_port == a.port
    a.daemon.wg("set", "listen-port", "6000")
    ping(a.machine, b.inner[4], within=4)
    a.machine.ip("link set wg0 down\nlink set wg0 up")
    assert a.daemon.show().listen_port == 6000
    with a.machine.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other, \
            pytest.raises(OSError, match="Address already in use"):
        other.bind(("", 6000))


def test_without_ipv6_an_ipv6_endpoint_does_no_harm(without_ipv6):
    a, b = without_ipv6
    ping(a.machine, b.inner[4])
    a.daemon.wg("set", "peer", "A" * 42 + "E=", "endpoint", "[2001:db8::1]:51820",
                "allowed-ips", "192.168.241.9/32", "persistent-keepalive", "1")
    begun, before = time.monotonic(), cpu_seconds(a.daemon.pid)
    assert_no_answer(a.machine, "192.168.241.9")
    ping(a.machine, b.inner[4], count=3)
    assert_no_answer(a.machine, "192.168.241.9")
    used = cpu_seconds(a.daemon.pid) - before
    assert used < 0.1 * (time.monotonic() - begun)


def test_a_kernel_without_ipv6_is_logged_once():
    with two_machines() as (alice, _), Site(alice, 1, before=lacking("IPv6")) as a:
        alice.ip("link set wg0 up")
        a.daemon.wg("set", "listen-port", "6000")
        assert sum("IPv6" in line for line in a.daemon.log_text().splitlines()) == 1
