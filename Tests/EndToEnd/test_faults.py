"""Every errno of every system call of the packet path, in the released daemon, under traffic.

One daemon runs with Tests/CFaults preloaded. The tests count what the tunnel carries
to the last datagram.
"""

import contextlib
import signal
import time

import pytest

from swireguard_dev.capture import Capture, source
from swireguard_dev.datagrams import Count, background
from swireguard_dev.faults import ERRORS, Faults
from swireguard_dev.machines import Machine, connect, wait_until
from swireguard_dev.processes import belongings, cpu_seconds
from swireguard_dev.topology import (OUTER, PORT, Site, socket_address, two_machines, two_sites,
                      wait_for_the_next_initiation)
from swireguard_dev.traffic import ping, ping_until_answered, send_stream


@contextlib.contextmanager
def faulty_tunnel(outer=4, **daemon_options):
    """A tunnel over this IP version whose left end injects faults."""
    faults = Faults()
    with two_machines() as (alice, bob), \
            Site(alice, 1, port=PORT + 1, before=faults.before, **daemon_options) as a, \
            Site(bob, 2, port=PORT + 2) as b:
        a.configure(b.as_peer(endpoint=socket_address(OUTER[outer][2], b.port)))
        b.configure(a.as_peer(endpoint=socket_address(OUTER[outer][1], a.port)))
        for site in (a, b):
            site.bring_up()
        ping(a.machine, b.inner[4])
        try:
            yield a, b, faults
        finally:
            faults.clear()


def direction(call, a, b):
    """The destination of packets that pass this call at the left end."""
    return (a, b) if call in ("sendmmsg", "read") else (b, a)


@pytest.mark.parametrize("runs", [False, True], ids=["datagrams", "runs"])
@pytest.mark.parametrize("call, outer", [("sendmmsg", 4), ("recvmmsg", 4), ("read", 4),
                                         ("writev", 4), ("sendmmsg", 6), ("recvmmsg", 6)])
def test_a_temporary_error_loses_no_packet(call, outer, runs):
    """At every third message, which over time is every position of a batch, or at each message."""
    with faulty_tunnel(outer) as (a, b, faults):
        sender, receiver = direction(call, a, b)
        with Count(sender.machine, receiver.machine, receiver.inner[4], runs=runs) as count:
            for error in ERRORS:
                for period in (3, 1):
                    faults.set(call, error, period=period)
                    assert count.send(600, burst=30) == (600, 0), error
                    assert faults.injected(call) >= 3, error
                faults.clear()


@pytest.mark.parametrize("outer", [4, 6])
@pytest.mark.parametrize("error", ["EIO", "EINVAL", "EMSGSIZE", "ENOMEM", "ENOBUFS"])
def test_always_refused_runs_lose_no_packet(error, outer):
    with faulty_tunnel(outer) as (a, b, faults), \
            Count(a.machine, b.machine, b.inner[4], runs=True) as count:
        faults.set("sendmmsg", error, times=1 << 30, period=1, runs_only=True)
        assert count.send(3000, burst=60) == (3000, 0)
        assert faults.injected("sendmmsg") >= 2


@pytest.mark.parametrize("most", [1, 2, 3, 7])
def test_the_rest_follows_a_partial_send(most):
    with faulty_tunnel() as (a, b, faults), Count(a.machine, b.machine, b.inner[4]) as count:
        faults.set("sendmmsg", None, most=most)
        faults.set("recvmmsg", None, most=most)
        assert count.send(2000) == (2000, 0)


@pytest.mark.parametrize("call", ["sendmmsg", "recvmmsg", "read", "writev"])
def test_a_call_that_fails_for_a_while_neither_stops_a_reader_nor_spins(call):
    """A hundred failures in a row, then long enough to detect a spinning loop."""
    errors = [error for error in ERRORS if error != "EINTR"] + ["ECONNREFUSED", "ENETDOWN"]
    with faulty_tunnel() as (a, b, faults):
        held = belongings(a.daemon.pid)
        sender, receiver = direction(call, a, b)
        for error in errors:
            # Before any traffic: a call in progress would count itself past the first message.
            faults.set(call, error, times=100)
            with background((sender.machine, receiver.inner[4])):
                wait_until(lambda: faults.injected(call) >= 100, f"100 × {error}", within=5)
                wait_until(lambda: faults.passed(call) > 10, f"work continues after {error}", within=4)
                faults.set(call, error, times=1 << 30, period=1)
                before, begun = cpu_seconds(a.daemon.pid), time.monotonic()
                time.sleep(0.3)
                # A spinning thread uses a whole core. One that rests 1 ms after a hundred calls uses a
                # fraction, which is larger where calls are slow.
                used = cpu_seconds(a.daemon.pid) - before
                assert used / (time.monotonic() - begun) < 0.75, error
                faults.clear()
            # The first ping may find the TUN's queue full.
            ping_until_answered(a.machine, b.inner[4], within=4)
            ping_until_answered(b.machine, a.inner[4], within=4)
        assert belongings(a.daemon.pid) == held
        # An error is logged occasionally, not every time.
        assert sum("failed" in line for line in a.daemon.log_text().splitlines()) < 20


def times_told(site, words):
    return sum(words in line for line in site.daemon.log_text().splitlines())


@pytest.mark.parametrize("call, words", [("sendmmsg", "the kernel refuses to send it"),
                                         ("writev", "the interface refuses it")])
def test_refusals_are_logged_immediately(call, words):
    """Also by a worker that has no other reason to wake the control thread."""
    with faulty_tunnel() as (a, b, faults):
        sender, receiver = direction(call, a, b)
        faults.set(call, "EPERM", times=1 << 30, period=1)
        for number in (1, 2):
            sender.machine.attempt("ping", "-c", 1, "-W", 0.1, receiver.inner[4])
            wait_until(lambda: times_told(a, words) == number, f"drop {number}", within=0.9)
            time.sleep(1.2)  # until the end of the second after which drops are reported


def test_a_handshake_that_cannot_be_sent_is_logged():
    with faulty_tunnel() as (a, b, faults):
        a.go_down_and_up()
        wait_for_the_next_initiation()
        faults.set("sendmmsg", "EPERM", times=1 << 30, period=1)
        a.machine.attempt("ping", "-c", 1, "-W", 0.1, b.inner[4])
        wait_until(lambda: times_told(a, "the kernel refuses to send it") == 1, "the drop is logged", within=4)
        faults.clear()
        ping(a.machine, b.inner[4], within=7)


@pytest.mark.parametrize("call", ["sendmmsg", "recvmmsg", "read", "writev"])
def test_thousands_of_interruptions_lose_nothing(call):
    with faulty_tunnel() as (a, b, faults):
        sender, receiver = direction(call, a, b)
        with Count(sender.machine, receiver.machine, receiver.inner[4]) as count:
            faults.set(call, "EINTR", times=200, period=5)
            assert count.send(2000, burst=20, pause=0.004) == (2000, 0)
            assert faults.injected(call) >= 1000


def test_a_hundred_thousand_signals_interrupt_nothing():
    with two_sites() as (a, b), Count(a.machine, b.machine, b.inner[4]) as out, \
            Count(b.machine, a.machine, a.inner[4]) as back:
        ping(a.machine, b.inner[4])
        for _ in range(100):
            for _ in range(1000):
                a.daemon.process.send_signal(signal.SIGCONT)
            a.daemon.process.send_signal(signal.SIGSTOP)
            a.daemon.process.send_signal(signal.SIGCONT)
            assert out.send(20, pause=0) == (20, 0)
            assert back.send(20, pause=0) == (20, 0)
        ping(a.machine, b.inner[4], within=4)


def largest_send(sender, receiver, cable="eth0"):
    """The longest send of a stream, in bytes, before the device cuts it; acknowledgements are short."""
    with Capture(sender.machine, cable) as capture:
        send_stream(sender.machine, receiver.machine, receiver.inner[4], size=2_000_000)
        return max(len(packet) for packet in capture.packets()
                   if (source(packet) or (None, None))[1] == sender.port)


@pytest.mark.long
def test_segmentation_is_retried_after_a_refusal():
    with faulty_tunnel() as (a, b, faults):
        faults.set("sendmmsg", "EINVAL", times=1 << 30, period=1, runs_only=True)
        assert largest_send(a, b) <= 1500
        faults.clear()
        assert largest_send(a, b) <= 1500
        wait_until(lambda: largest_send(a, b) > 5000, "segmented sends resume", within=15)


@pytest.mark.parametrize("error, is_of_path", [("EMSGSIZE", True), ("EINVAL", True), ("EIO", False)])
def test_a_refusal_of_one_path_does_not_affect_other_peers(error, is_of_path):
    """With one worker, which sends to both peers."""
    with faulty_tunnel(environment={"WG_WORKERS": "1"}) as (a, b, faults), \
            Machine("carol") as carol, Site(carol, 3, port=PORT + 3) as c:
        connect(a.machine, "eth1", carol, "eth0", ["10.1.0.1/24"], ["10.1.0.2/24"])
        a.daemon.wg("set", "peer", c.keys.public, "endpoint", f"10.1.0.2:{c.port}",
                    "allowed-ips", ",".join(c.host_routes))
        c.configure(a.as_peer())
        c.bring_up()
        ping(a.machine, c.inner[4])
        faults.set("sendmmsg", error, times=1 << 30, period=1, runs_only=True)
        assert largest_send(a, b) <= 1500
        faults.clear()
        assert (largest_send(a, c, "eth1") > 5000) == is_of_path
        assert largest_send(a, b) <= 1500


@pytest.mark.parametrize("outer", [4, 6])
def test_a_path_of_1280_bytes_loses_nothing_of_a_tunnel_with_mtu_1420(outer):
    with two_sites(outer=outer, cable_mtu=1280) as (a, b):
        ping(a.machine, b.inner[4])
        for sender, receiver in [(a, b), (b, a)]:
            for version in (4, 6):
                assert send_stream(sender.machine, receiver.machine, receiver.inner[version],
                                   size=2_000_000) < 5
            for runs in (False, True):
                with Count(sender.machine, receiver.machine, receiver.inner[4], size=1392,
                           runs=runs) as count:
                    assert count.send(1000, burst=20) == (1000, 0)
