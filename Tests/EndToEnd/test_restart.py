"""A daemon that is killed and restarted, and replays of everything that was sent."""

import contextlib
import random
import socket
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from swireguard_dev.capture import Capture, header_and_protocol, source, udp_payload
from swireguard_dev.daemon import Daemon
from swireguard_dev.machines import wait_until
from swireguard_dev.topology import OUTER, two_sites, wait_for_the_next_initiation
from swireguard_dev.traffic import family, ping

ECHO = 5004


def kill_and_start_again(site, *peers, meanwhile=lambda: None):
    """kill -9, something else, and a restart with the same configuration."""
    old = site.daemon
    old.expected_to_run = False
    old.process.kill()
    old.process.wait()
    something = meanwhile()
    site.daemon = Daemon(site.machine, old.program, name=old.name,
                         environment={"WG_UDP_GSO": "off"})
    site.daemon.__enter__()
    site.configure(*peers)
    site.bring_up()
    return something


@contextlib.contextmanager
def echoing(machine, address):
    """Echoes what arrives at a port, whatever happens to the interface."""
    over = threading.Event()
    with machine.entered():
        echo = socket.socket(family(address), socket.SOCK_DGRAM)
    echo.bind(("", ECHO))
    echo.settimeout(0.2)

    def serve():
        while not over.is_set():
            with contextlib.suppress(OSError):
                echo.sendto(*echo.recvfrom(2000))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        echo.close()


def first_answer(machine, address, within):
    """Asks every 10 ms, and returns the time until an answer arrived."""
    with machine.entered(), socket.socket(family(address), socket.SOCK_DGRAM) as client:
        client.settimeout(0.01)
        begun = time.monotonic()
        while (passed := time.monotonic() - begun) < within:
            with contextlib.suppress(OSError):
                client.sendto(b"there?", (address, ECHO))
                client.recv(2000)
                return time.monotonic() - begun
        raise AssertionError(f"no answer within {passed:.1f} s")


@pytest.mark.long
def test_a_killed_responder_is_noticed_after_15_seconds():
    with two_sites() as (a, b), echoing(b.machine, b.inner[4]):
        first_answer(a.machine, b.inner[4], within=5)
        with ThreadPoolExecutor(1) as pool:
            # Not in that thread: a daemon dies with the thread that started it.
            asked = kill_and_start_again(b, a.as_peer(), meanwhile=lambda: pool.submit(
                first_answer, a.machine, b.inner[4], within=20))
            # 10 s without an answer, 5 s more, and at most a third of a second of jitter,
            # plus delays of a busy machine: the next retry is 5 s later.
            assert asked.result() <= 15.4 + 0.6
        ping(b.machine, a.inner[4], within=4)
        b.daemon.stop()


def test_a_restarted_initiator_works_with_its_first_packet():
    with two_sites() as (a, b), echoing(b.machine, b.inner[4]), echoing(a.machine, a.inner[4]):
        first_answer(a.machine, b.inner[4], within=5)
        endpoint = f"{OUTER[4][2]}:{b.port}"
        for _ in range(5):
            wait_for_the_next_initiation()
            kill_and_start_again(a, b.as_peer(endpoint=endpoint))
            assert first_answer(a.machine, b.inner[4], within=5) <= 4
            assert first_answer(b.machine, a.inner[4], within=5) <= 4
        a.daemon.stop()


class Recording:
    """Everything that two daemons send each other, for replay from its source."""

    def __init__(self, a, b):
        self.sites = {(OUTER[4][1], a.port): a, (OUTER[4][2], b.port): b}
        self.capture = Capture(a.machine, "eth0")
        self.datagrams = []  # (source, payload)

    def update(self):
        self.datagrams += [(source(packet), udp_payload(packet))
                           for packet in self.capture.packets() if source(packet) in self.sites]

    def other(self, end):
        return next(each for each in self.sites if each != end)

    def replay(self, datagrams):
        """Sends each datagram from its source to its destination, and back to its source."""
        with contextlib.ExitStack() as stack:
            raw = {}
            for end, site in self.sites.items():
                with site.machine.entered():
                    raw[end] = stack.enter_context(
                        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW))
            for number, (sender, payload) in enumerate(datagrams):
                receiver = self.other(sender)
                raw[sender].sendto(datagram(sender, receiver, payload), (receiver[0], 0))
                raw[receiver].sendto(datagram(receiver, sender, payload), (sender[0], 0))
                if number % 20 == 0:
                    time.sleep(0.002)  # stays below the load that causes cookies
        time.sleep(0.2)


def datagram(sender, receiver, payload):
    """An IPv4 packet; the kernel fills in length and checksum, and UDP has no checksum."""
    udp = struct.pack("!HHHH", sender[1], receiver[1], 8 + len(payload), 0) + payload
    return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 0, 0, 0, 64, socket.IPPROTO_UDP, 0,
                       socket.inet_aton(sender[0]), socket.inet_aton(receiver[0])) + udp


def talk(a, b):
    for _ in range(10):
        ping(a.machine, b.inner[4], size=700)
        ping(b.machine, a.inner[6], size=1300)


def assert_replays_do_nothing(recording, a, b):
    """In order, reversed and shuffled: no counter changes, no packet comes out, no answer is sent."""
    recording.update()
    assert len(recording.datagrams) > 60
    assert {payload[0] for _, payload in recording.datagrams} == {1, 2, 4}
    shuffled = recording.datagrams[:]
    random.Random(7).shuffle(shuffled)

    def state():
        return [(peer.endpoint, peer.rx, peer.tx, peer.latest_handshake)
                for site in (a, b) for peer in site.daemon.show().peers.values()]

    before = state()
    for order in (recording.datagrams, recording.datagrams[::-1], shuffled):
        with Capture(a.machine, "wg0") as near, Capture(b.machine, "wg0") as far:
            recording.replay(order)
            assert near.packets() == far.packets() == []
            assert state() == before  # the daemon counts everything it sends
    recording.capture.packets()


@pytest.mark.long
@pytest.mark.limit(120)
def test_every_replayed_message_is_refused():
    with two_sites(environment={"WG_UDP_GSO": "off"}) as (a, b):
        recording = Recording(a, b)
        endpoint = f"{OUTER[4][2]}:{b.port}"
        talk(a, b)
        for _ in range(3):  # more sessions, initiated by either end
            for site, other in ((a, b), (b, a)):
                wait_for_the_next_initiation()
                site.go_down_and_up()
                talk(site, other)
        time.sleep(10.5)  # the last keepalives
        assert_replays_do_nothing(recording, a, b)
        talk(a, b)

        # A restarted daemon knows no timestamps and would answer an old initiation, without harm,
        # until it receives a newer one (section 5.1 of the paper). Here each receives one first.
        for site, other, peer in ((a, b, b.as_peer(endpoint=endpoint)),
                                  (b, a, a.as_peer(endpoint=f"{OUTER[4][1]}:{a.port}"))):
            wait_for_the_next_initiation()
            kill_and_start_again(site, peer)
            talk(site, other)
        wait_for_the_next_initiation()
        a.go_down_and_up()
        talk(a, b)
        time.sleep(10.5)
        assert_replays_do_nothing(recording, a, b)
        ping(a.machine, b.inner[4], within=4)
        for site in (a, b):
            site.daemon.stop()
