"""SwireGuard with the kernel's WireGuard.

test_interop covers plain tunnels. These tests run with --kernel, on a machine whose kernel
has WireGuard, or in the machine that scripts/kernel-interop boots.
"""

import base64
import itertools
import os
import re
import socket
import subprocess
import threading
import time

import pytest

from swireguard_dev.capture import Capture, source, traffic_class, udp_payload
from swireguard_dev.daemon import Keys, now
from swireguard_dev.kernel_interface import KERNEL
from swireguard_dev.machines import Machine, connect, wait_until
from swireguard_dev.paper.curve import KeyPair
from swireguard_dev.paper.messages import (CookieReply, HandshakeInitiation, HandshakeResponse,
    TransportData)
from swireguard_dev.paper.messages import message_type
from swireguard_dev.paper.peer import Peer
from swireguard_dev.project import OURS, ROOT
from test_interop import KERNEL_CELLS
from swireguard_dev.topology import OUTER, socket_address, two_sites, wait_for_the_next_initiation
from swireguard_dev.traffic import full_ping, ping, send_stream

pytestmark = pytest.mark.kernel
CELLS = pytest.mark.parametrize("cell", KERNEL_CELLS)
ENDS = pytest.mark.parametrize("end", ["ours", "the kernel's"])
TUNNEL_MTU = 1420


def kernel_tunnel(cell, **options):
    return two_sites(*KERNEL_CELLS[cell], **options)


def tunnel_from(end):
    """A tunnel that the named end initiates."""
    return two_sites(*((OURS, KERNEL) if end == "ours" else (KERNEL, OURS)))


# On the wire.

@CELLS
def test_handshakes_are_counted_and_marked_equally(cell):
    """S2: to the byte, and with traffic class 0x88 from both ends."""
    with kernel_tunnel(cell, preshared=True) as (a, b), Capture(a.machine, "eth0") as capture:
        ping(a.machine, b.inner[4], count=10)
        near, far = a.peer_status(b), b.peer_status(a)
        assert near.rx == far.tx == 92 + 10 * (96 + 32)
        assert near.tx == far.rx
        assert near.tx in (148 + 10 * (96 + 32), 148 + 10 * (96 + 32) + 32)
        assert abs(near.latest_handshake - far.latest_handshake) <= 1
        seen = [(message_type(udp_payload(packet)), traffic_class(packet))
                for packet in capture.packets() if source(packet)]
        assert {(HandshakeInitiation.TYPE, 0x88), (HandshakeResponse.TYPE, 0x88),
                (TransportData.TYPE, 0)} == set(seen)


@ENDS
def test_segmented_and_single_sends_arrive(end, stream_size):
    """The kernel sends one packet at a time; SwireGuard sends runs of them in one call."""
    with tunnel_from(end) as (a, b), Capture(a.machine, "eth0") as capture:
        ping(a.machine, b.inner[4])
        capture.packets()
        send_stream(a.machine, b.machine, b.inner[4], stream_size)
        largest = max(len(packet) for packet in capture.packets()
                      if source(packet) == (OUTER[4][1], a.port))
        assert largest > 5000 if end == "ours" else largest <= 1500


def test_both_ends_initiate_simultaneously():
    with tunnel_from("ours") as (a, b):
        b.daemon.wg("set", "peer", a.keys.public, "endpoint", f"{OUTER[4][1]}:{a.port}")
        for _ in range(5):
            pings = [site.machine.popen("ping", "-n", "-c", 1, "-W", 8, other.inner[4], stdout=-1)
                     for site, other in ((a, b), (b, a))]
            assert all("1 received" in each.communicate()[0] for each in pings)
            a.go_down_and_up()  # the link's sessions end
            b.machine.ip("link set wg0 down\nlink set wg0 up")
            wait_for_the_next_initiation()


# Endpoints.

@pytest.mark.parametrize("outer", [4, 6], ids=["outer IPv4", "outer IPv6"])
@CELLS
def test_a_roaming_initiator_is_followed(cell, outer):
    with kernel_tunnel(cell, outer=outer) as (a, b):
        ping(a.machine, b.inner[4])
        before = b.peer_status(a).latest_handshake
        moved = move(a, outer)
        ping(a.machine, b.inner[6])
        assert b.peer_status(a).endpoint == socket_address(moved, 9998)
        ping(b.machine, a.inner[4])
        assert b.peer_status(a).latest_handshake == before


@pytest.mark.parametrize("outer", [4, 6], ids=["outer IPv4", "outer IPv6"])
@CELLS
def test_a_roaming_responder_is_followed(cell, outer):
    with kernel_tunnel(cell, outer=outer) as (a, b):
        ping(a.machine, b.inner[4])
        moved = move(b, outer)
        ping(b.machine, a.inner[4])
        assert a.peer_status(b).endpoint == socket_address(moved, 9998)
        full_ping(a.machine, b.inner[6], TUNNEL_MTU)


@CELLS
def test_an_endpoint_of_the_other_family_is_accepted(cell):
    with kernel_tunnel(cell) as (a, b):
        ping(a.machine, b.inner[4])
        a.daemon.wg("set", "peer", b.keys.public, "endpoint",
                    socket_address(OUTER[6][2], b.port))
        ping(a.machine, b.inner[4])
        assert b.peer_status(a).endpoint == socket_address(OUTER[6][1], a.port)


# Configuration.

@ENDS
def test_syncconf_keeps_the_session(end):
    with tunnel_from(end) as (a, b):
        ping(a.machine, b.inner[4])
        before = a.peer_status(b)
        pings = a.machine.popen("ping", "-n", "-q", "-i", 0.02, "-c", 250, "-W", 5, b.inner[4],
                                stdout=-1)
        added = Keys()
        for number in itertools.count():
            extra = f"[Peer]\nPublicKey = {added.public}\nAllowedIPs = 10.9.0.0/16\n"
            a.daemon.wg("syncconf", "/dev/stdin", input=a.configuration(
                b.as_peer(endpoint=before.endpoint)) + (extra if number % 2 else ""))
            assert (added.public in a.daemon.show().peers) == bool(number % 2)
            if pings.poll() is not None:
                break
        output, _ = pings.communicate()
        counts = re.search(r"(\d+) packets transmitted, (\d+) received", output)
        assert counts, output
        sent, received = map(int, counts.groups())
        # The kernel removes a peer's allowed IPs and then adds them, and a packet that arrives in
        # between finds no peer; SwireGuard replaces them atomically.
        losable = 0 if end == "ours" else min(number, 10)
        assert number >= 2 and sent == 250 and received >= sent - losable, output
        after = a.peer_status(b)
        assert after.latest_handshake == before.latest_handshake
        assert after.rx >= before.rx + received * 128


# Load.

@pytest.mark.limit(120)
@pytest.mark.parametrize("outer", [4, 6], ids=["outer IPv4", "outer IPv6"])
@CELLS
def test_under_load_the_responder_requests_a_cookie_and_gets_it(cell, outer):
    with kernel_tunnel(cell, outer=outer) as (a, b), Machine("mallory") as mallory:
        connect(mallory, "eth0", b.machine, "eth1", ["10.1.0.1/24"], ["10.1.0.2/24"])
        with Capture(a.machine, "eth0") as capture, Flood(mallory, ("10.1.0.2", b.port), b):
            wait_until(lambda: a.machine.attempt("ping", "-n", "-c", 1, "-W", 8,
                                                 b.inner[4]).returncode == 0,
                       "the tunnel works under load", within=60)
            messages = [(source(packet)[1], udp_payload(packet)) for packet in capture.packets()
                        if source(packet)]
        kinds = [(port, message_type(message)) for port, message in messages]
        cookie = kinds.index((b.port, CookieReply.TYPE))
        response = kinds.index((b.port, HandshakeResponse.TYPE))
        assert cookie < response
        with_cookie = [message for port, message in messages[cookie:response]
                       if (port, message_type(message)) == (a.port, HandshakeInitiation.TYPE)]
        assert with_cookie and all(message[-16:] != bytes(16) for message in with_cookie)
        # None before it had a cookie.
        assert all(message[-16:] == bytes(16) for port, message in messages[:cookie]
                   if port == a.port)


class Flood:
    """A thread that keeps an end under load.

    Every initiation has a valid mac1 and costs a Diffie-Hellman operation. It is from an unknown peer
    and so has no effect.
    """

    def __init__(self, machine, remote, site):
        static = base64.b64decode(site.keys.public)
        self.initiation = Peer(KeyPair.of(os.urandom(32)), static).initiate()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run)
        with machine.entered():
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(remote)

    def __enter__(self):
        self.thread.start()
        time.sleep(0.5)

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()
        self.socket.close()

    def run(self):
        udp_segment = (socket.SOL_UDP, 103, len(self.initiation).to_bytes(2, "little"))
        while not self.ended.wait(0.2):
            for _ in range(24):
                self.socket.sendmsg([self.initiation * 64], [udp_segment])


# As a whole.

@pytest.mark.limit(120)
def test_the_demo_runs():
    """Runs on the kernel of the emulated machine, which differs from that of most tests."""
    done = subprocess.run([ROOT / "scripts/demo"], env=os.environ | {"SWIREGUARD": OURS},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


# Clocks. All of these run at once, beside the other tests.

@pytest.mark.meanwhile
@pytest.mark.limit(180)
@CELLS
def test_a_session_is_renewed_after_120_seconds(cell):
    with kernel_tunnel(cell) as (a, b), Capture(a.machine, "eth0") as capture:
        begun = time.monotonic()
        first, renewed = 0, 0
        while time.monotonic() - begun < 130:
            ping(a.machine, b.inner[4], within=4)  # before the loss of a packet is noticed
            ping(b.machine, a.inner[6], within=4)
            handshake = a.peer_status(b).latest_handshake
            first = first or handshake
            if handshake != first and not renewed:
                renewed = time.monotonic() - begun
            time.sleep(1)
        assert 115 < renewed < 128 + 9, renewed  # such a round may take 9 s
        assert abs(b.peer_status(a).latest_handshake - a.peer_status(b).latest_handshake) <= 1
        # By the initiator only.
        initiations = [source(packet) for packet in capture.packets() if source(packet)
                       and message_type(udp_payload(packet)) == HandshakeInitiation.TYPE]
        assert initiations == 2 * [(OUTER[4][1], a.port)]


@pytest.mark.meanwhile
@pytest.mark.limit(240)
@CELLS
def test_after_180_seconds_of_silence_a_new_session_is_created(cell):
    with kernel_tunnel(cell) as (a, b):
        ping(a.machine, b.inner[4])
        first = a.peer_status(b).latest_handshake
        time.sleep(12)  # for the keepalive
        with Capture(a.machine, "eth0") as capture:
            time.sleep(first + 182 - now())
            assert [packet for packet in capture.packets() if source(packet)] == []
            ping(b.machine, a.inner[4])  # this time the responder initiates
            types = [(source(packet)[1], message_type(udp_payload(packet)))
                     for packet in capture.packets() if source(packet)]
        assert types[:3] == [(b.port, HandshakeInitiation.TYPE), (a.port, HandshakeResponse.TYPE),
                             (b.port, TransportData.TYPE)]
        ping(a.machine, b.inner[6])
        assert a.peer_status(b).latest_handshake >= first + 182


@pytest.mark.meanwhile
@CELLS
def test_unanswered_data_gets_a_keepalive_after_ten_seconds(cell):
    with kernel_tunnel(cell) as (a, b):
        ping(a.machine, b.inner[4])
        time.sleep(0.5)
        with Capture(a.machine, "eth0") as capture, a.machine.entered(), \
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            b.machine.nft("table inet mute { chain out { type filter hook output priority 0; "
                          "oifname wg0 drop; }; }\n")
            sent = time.monotonic()
            sender.sendto(b"X", (b.inner[4], 9))
            wait_until(lambda: any(length == 32 for length in lengths(capture, b.port)),
                       "a keepalive comes", within=20)
            assert 9 < time.monotonic() - sent < 18


@pytest.mark.meanwhile
@CELLS
def test_persistent_keepalives_arrive_on_time(cell):
    with kernel_tunnel(cell) as (a, b), Capture(a.machine, "eth0") as capture:
        a.daemon.wg("set", "peer", b.keys.public, "persistent-keepalive", "4")
        wait_until(lambda: b.peer_status(a).latest_handshake, "a handshake without data")
        begun = time.monotonic()
        capture.packets()
        time.sleep(22)
        sent = [(source(packet)[1], len(udp_payload(packet))) for packet in capture.packets()
                if source(packet)]
        most = (time.monotonic() - begun) / 4 + 1
        assert set(sent) == {(a.port, 32)} and 4 <= len(sent) <= most


@pytest.mark.meanwhile
@CELLS
def test_a_responder_that_lost_its_state_is_reached_again(cell):
    with kernel_tunnel(cell) as (a, b):
        ping(a.machine, b.inner[4])
        b.machine.ip("link set wg0 down\nlink set wg0 up")  # which ends its sessions
        begun = time.monotonic()
        wait_until(lambda: a.machine.attempt("ping", "-n", "-c", 1, "-W", 1,
                                             b.inner[4]).returncode == 0,
                   "the initiator starts a new handshake", within=25)
        assert 13 < time.monotonic() - begun < 23


# Steps.

def move(site, outer):
    """Another address of this IP version, and another port; returns the address."""
    number = OUTER[outer][1 if site.inner[4].endswith(".1") else 2]
    moved, length = (f"{number}1", 24) if outer == 4 else (f"{number}1", 96)
    nodad = " nodad" if outer == 6 else ""
    site.machine.ip(f"address del {number}/{length} dev eth0\n"
                    f"address add {moved}/{length} dev eth0{nodad}")
    site.daemon.wg("set", "listen-port", "9998")
    return moved


def lengths(capture, port):
    """The datagrams that arrived from there since the last call."""
    return [len(udp_payload(packet)) for packet in capture.packets()
            if source(packet) and source(packet)[1] == port]
