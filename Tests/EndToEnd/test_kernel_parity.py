"""Behavior of the kernel's WireGuard that userspace daemons often lack."""

import json
import socket
import time

import pytest

from swireguard_dev.capture import Capture, is_icmp, source
from swireguard_dev.machines import Machine, connect, wait_until
from swireguard_dev.topology import (OUTER, PORT, Site, two_machines, two_sites,
    wait_for_the_next_initiation)
from swireguard_dev.traffic import assert_no_answer, family, ping, send_stream

# ICMP errors: the sender of an undeliverable packet gets one, as from any router.

UNREACHABLE = {4: "Destination Host Unreachable", 6: "Address unreachable"}
NOBODY = {4: "192.168.241.77", 6: "fd00::77"}


@pytest.mark.scenario("K1", "a destination without a peer: an ICMP error")
@pytest.mark.parametrize("inner", [4, 6])
def test_a_destination_without_a_peer_is_unreachable(inner, seen):
    with two_sites() as (a, _):
        said = assert_no_answer(a.machine, NOBODY[inner])
        assert UNREACHABLE[inner] in said
        assert f"From {NOBODY[inner]}" in said  # an address of this host as source would be a martian
        seen(f"From {NOBODY[inner]}: {UNREACHABLE[inner]}")


@pytest.mark.scenario("K2", "a peer without an endpoint: an ICMP error")
@pytest.mark.parametrize("inner", [4, 6])
def test_a_peer_without_an_endpoint_is_unreachable(inner, seen):
    with two_sites() as (a, b):
        assert UNREACHABLE[inner] in assert_no_answer(b.machine, a.inner[inner])
        ping(a.machine, b.inner[inner])  # makes the endpoint known
        ping(b.machine, a.inner[inner])
        seen(f"{UNREACHABLE[inner]}, until the endpoint is known")


@pytest.mark.parametrize("inner", [4, 6])
def test_programs_see_the_error_immediately(inner):
    with two_sites() as (a, _), a.machine.entered(), \
            socket.socket(family(NOBODY[inner]), socket.SOCK_STREAM) as client:
        client.settimeout(10)  # IPv4 tolerates some errors before it gives up
        with pytest.raises(OSError, match="No route to host"):
            client.connect((NOBODY[inner], 80))


@pytest.mark.scenario("K3", "a forwarded packet is answered by an ICMP error")
@pytest.mark.parametrize("inner", [4, 6])
def test_a_forwarded_packet_is_answered(inner, seen):
    """S21: a host behind the site connects to a removed peer."""
    with two_sites() as (a, b), Machine("host") as host:
        connect(host, "eth0", a.machine, "lan", ["172.16.0.2/24", "fd02::2/64"],
                ["172.16.0.1/24", "fd02::1/64"])
        a.machine.sysctl(ipv4__ip_forward=1, ipv6__conf__all__forwarding=1)
        host.ip("route add default via 172.16.0.1\nroute add default via fd02::1")
        a.daemon.wg("set", "peer", b.keys.public, "remove")
        assert UNREACHABLE[inner] in assert_no_answer(host, b.inner[inner])
        seen(f"a host behind the interface gets {UNREACHABLE[inner]}")


@pytest.mark.scenario("K4", "ICMP errors are rate-limited, and broadcasts cause none")
def test_errors_are_rate_limited_and_not_sent_for_broadcasts(seen):
    with two_sites() as (a, _), Capture(a.machine, "wg0") as capture, a.machine.entered(), \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"wg0")
        for destination in ("224.1.2.3", "255.255.255.255"):
            client.sendto(b"to everybody", (destination, 9))
        time.sleep(0.2)
        packets = capture.packets()
        assert len(packets) >= 2 and not any(is_icmp(packet, 3) for packet in packets)

        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client6:
            for sender, destination, kind in ((client, NOBODY[4], 3), (client6, NOBODY[6], 1)):
                begun = time.monotonic()
                for _ in range(2000):
                    try:
                        sender.sendto(b"to nobody", (destination, 9))
                    except OSError:
                        pass  # the error of an earlier packet
                errors = []

                def an_error_came():
                    errors.extend(packet for packet in capture.packets() if is_icmp(packet, kind))
                    return errors

                wait_until(an_error_came, "an error comes")
                time.sleep(0.3)
                an_error_came()
                # A hundred per second, with a burst of fifty.
                allowed = 50 + 100 * (time.monotonic() - begun) + 1
                assert len(errors) <= allowed, f"{len(errors)} errors, {allowed:.0f} allowed"
                seen(f"{len(errors)} errors for 2000 packets, none for a broadcast")


@pytest.mark.scenario("X1", "an endpoint that is routed into its own tunnel")
@pytest.mark.parametrize("outer", [4, 6])
def test_a_tunnel_routed_to_its_own_endpoint_does_not_loop(outer, seen):
    """Also with large packets: sealing makes them longer, so they return in fragments."""
    with two_sites(outer=outer) as (a, b):
        ping(a.machine, b.inner[4])
        a.daemon.wg("set", "peer", b.keys.public, "allowed-ips", "0.0.0.0/0,::/0")
        a.machine.ip(f"route add {OUTER[outer][2]} dev wg0")
        before = a.peer_status(b).tx
        for size in (56, 1380):
            a.machine.attempt("ping", "-n", "-c", 3, "-i", 0.2, "-W", 0.4, "-s", size, b.inner[4])
        assert a.peer_status(b).tx - before < 100_000
        assert sum("routed into the tunnel" in line
                   for line in a.daemon.log_text().splitlines()) == 1
        seen(f"{a.peer_status(b).tx - before} bytes for six pings, one log line")


@pytest.mark.parametrize("place", ["here", "moved"])
def test_errors_are_not_sent_for_the_broadcasts_of_any_network(place):
    """Directed broadcasts, which only the netmasks of the interface's addresses distinguish."""
    with Machine("jail") as jail, two_sites() as (a, _):
        if place == "moved":
            a.machine.ip(f"link set wg0 netns {jail.pid}")
            a.machine = jail
            a.bring_up()

        def errors(*destinations, wanted=0):
            """Counts the errors for these; waits for the wanted ones, but not for superfluous ones."""
            packets = []

            def count():
                packets.extend(capture.packets())
                # The header of the original packet follows the two headers.
                return sum(is_icmp(packet, 3) and socket.inet_ntoa(packet[44:48]) in destinations
                           for packet in packets)

            with Capture(a.machine, "wg0") as capture, a.machine.entered(), \
                    socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"wg0")
                for destination in destinations:
                    client.sendto(b"to everybody", (destination, 9))
                deadline = time.monotonic() + 3
                while count() < wanted and time.monotonic() < deadline:
                    time.sleep(0.02)
                time.sleep(0.2)
                found = count()
            assert len(packets) >= len(destinations)
            return found

        assert errors("192.168.241.255") == 0
        assert errors("192.168.241.254", wanted=1) == 1
        a.machine.ip("address add 172.30.0.1/20 dev wg0\n"
                     "address add 172.31.0.1/24 broadcast 172.31.0.77 dev wg0\n"
                     "address add 172.29.0.0/31 dev wg0")
        # The daemon learns new addresses from events; the test cannot query it.
        wait_until(lambda: errors("172.30.15.255", "172.31.0.77", "172.31.0.255") == 0,
                   "the daemon knows the new addresses")
        assert errors("172.30.14.255", "172.29.0.1", wanted=2) == 2
        a.machine.ip("address del 172.30.0.1/20 dev wg0\nroute add 172.30.0.0/16 dev wg0")
        wait_until(lambda: errors("172.30.15.255", wanted=1) == 1, "the daemon knows of the deleted address",
                   within=10)


# Silence.

@pytest.mark.scenario("K5", "no router solicitations, no link-local address")
def test_an_interface_sends_nothing_unasked(seen):
    """No router solicitations and no link-local address: these would start a handshake."""
    with two_machines() as (alice, bob), Site(alice, 1, port=PORT + 1) as a, \
            Site(bob, 2, port=PORT + 2) as b:
        a.configure(b.as_peer(allowed_ips=["0.0.0.0/0", "::/0"], endpoint=f"10.0.0.2:{b.port}"))
        with Capture(bob, "eth0") as outside:
            alice.ip("link set wg0 up")
            with Capture(alice, "wg0") as inside:
                time.sleep(2.5)
                assert inside.packets() == []
            assert outside.datagrams_from("10.0.0.1", a.port) == []
        assert "inet6" not in alice.run("ip", "address", "show", "dev", "wg0")
        assert a.peer_status(b).tx == 0
        seen("nothing in 2.5 s, inside or outside")


# Counters, keepalives, endpoints, marks.

MARKS_COUNTED = """
table inet marks {
    counter first { }
    counter second { }
    counter unmarked { }
    chain out {
        type filter hook output priority 0
        oifname eth0 udp dport 51822 meta mark 0x2a counter name first
        oifname eth0 udp dport 51822 meta mark 0x2b counter name second
        oifname eth0 udp dport 51822 meta mark 0 counter name unmarked
    }
}
"""


@pytest.mark.scenario("K11", "the mark applies to all datagrams and can change during a session")
@pytest.mark.parametrize("outer", [4, 6])
def test_the_mark_applies_to_all_datagrams(outer, seen):
    """Counted where datagrams leave, for handshake messages and data."""
    with two_sites(outer=outer) as (a, b):
        a.machine.nft(MARKS_COUNTED)

        def sent():
            """Datagrams by mark."""
            counters = json.loads(a.machine.run("nft", "--json", "list", "counters"))["nftables"]
            return {each["counter"]["name"]: each["counter"]["packets"] for each in counters
                    if "counter" in each}

        a.daemon.wg("set", "fwmark", "0x2a")
        ping(a.machine, b.inner[4], count=3, within=4)
        handshake = a.peer_status(b).latest_handshake
        marked = sent()
        assert marked["first"] >= 4 and marked["second"] == marked["unmarked"] == 0
        a.daemon.wg("set", "fwmark", "0x2b")
        ping(a.machine, b.inner[6], count=3, within=4)
        assert sent()["second"] >= 3 and sent()["first"] == marked["first"]
        a.daemon.wg("set", "fwmark", "0")
        ping(a.machine, b.inner[4], within=4)
        assert sent()["unmarked"] >= 1 and sent()["first"] == marked["first"]
        assert a.peer_status(b).latest_handshake == handshake
        seen(f"initiation and data with mark 0x2a, then 0x2b, then none: {sent()}")


def test_enabling_a_keepalive_sends_one_immediately():
    with two_sites() as (a, b):
        ping(a.machine, b.inner[4])
        before = a.peer_status(b).tx
        a.daemon.wg("set", "peer", b.keys.public, "persistent-keepalive", "100")
        wait_until(lambda: a.peer_status(b).tx == before + 32, "a keepalive is sent", within=4)


def test_large_outer_packets_are_fragmented():
    """The path is narrower than the tunnel's datagrams; nothing is lost with any offload."""
    with two_sites(cable_mtu=1280) as (a, b):
        ping(a.machine, b.inner[4])
        for sender, receiver, address in [(a, b, b.inner[4]), (b, a, a.inner[6])]:
            ping(sender.machine, address, size=1372 - 20, count=5)
            assert send_stream(sender.machine, receiver.machine, address, size=2_000_000) < 5


@pytest.mark.parametrize("change", ["the tunnel's MTU", "the path"])
def test_segmentation_resumes_on_a_path_that_refused_it(change):
    with two_sites(cable_mtu=1280) as (a, b):
        def largest_send():
            """In bytes, before the device cuts it; excludes Bob's acknowledgements, which are short."""
            with Capture(a.machine, "eth0") as capture:
                send_stream(a.machine, b.machine, b.inner[4], size=2_000_000)
                return max(len(packet) for packet in capture.packets()
                           if (source(packet) or (None, None))[1] == a.port)

        ping(a.machine, b.inner[4])
        largest_send()
        assert largest_send() <= 1280
        for site in (a, b):
            if change == "the path":
                site.machine.ip(f"link set eth0 mtu 1500\naddress add 10.0.7.{site.port % 10}/24 "
                                "dev eth0")
            else:
                site.machine.ip("link set wg0 mtu 1200")
        wait_until(lambda: largest_send() > 5000, "segmented sends resume")


def test_the_last_session_survives_a_restart_of_the_other_end():
    """The other end restarts without its sessions: packets of unknown sessions cause a handshake."""
    with two_sites() as (a, b):
        ping(a.machine, b.inner[4])
        b.go_down_and_up()
        wait_for_the_next_initiation()
        ping(b.machine, a.inner[4], within=4)
        ping(a.machine, b.inner[4])
