"""Paths that lose, reorder and duplicate datagrams.

    alice: wg0, eth0 10.0.0.1 ─── eth0 10.0.0.2, wg0 :bob
                   nftables drop, or a relay in bob's namespace on its own ports
"""

import contextlib
import random
import select
import socket
import struct
import threading
import time

import pytest

from swireguard_dev.capture import SO_RCVBUFFORCE
from swireguard_dev.machines import wait_until
from swireguard_dev.topology import OUTER, two_sites
from swireguard_dev.traffic import ping, send_stream

EVERY_FIFTH_IS_LOST = """
table inet loss {
    chain in {
        type filter hook input priority 0
        iifname eth0 meta l4proto udp numgen inc mod 5 == 4 drop
    }
}
"""


@pytest.mark.scenario("X11", "a fifth of all datagrams is lost in each direction")
def test_a_fifth_is_lost(seen):
    with two_sites() as (a, b):
        for site in (a, b):
            site.machine.nft(EVERY_FIFTH_IS_LOST)

        def answered():
            return a.machine.attempt("ping", "-c", 1, "-W", 0.5, b.inner[4]).returncode == 0

        wait_until(answered, "a handshake completes", within=20)
        took = send_stream(a.machine, b.machine, b.inner[4], size=200_000, within=40)
        seen(f"200 kB arrive intact in {took:.1f} s")


@contextlib.contextmanager
def relay(machine, port, to):
    """Forwards datagrams in shuffled batches, every second one twice; the return direction is unchanged."""
    generator = random.Random("relay")
    with machine.entered():
        outside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        inside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    outside.bind(("0.0.0.0", port))
    for end in (outside, inside):
        end.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
    ended = threading.Event()

    def work():
        dialler, batch, since = None, [], 0.0
        while not ended.is_set():
            ready, _, _ = select.select([outside, inside], [], [], 0.01)
            if outside in ready:
                datagram, dialler = outside.recvfrom(65535)
                since = since if batch else time.monotonic()
                batch.append(datagram)
            if inside in ready:
                outside.sendto(inside.recv(65535), dialler)
            if len(batch) >= 32 or (batch and time.monotonic() - since > 0.02):
                batch += batch[::2]
                generator.shuffle(batch)
                for datagram in batch:
                    inside.sendto(datagram, to)
                batch = []

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(5)
        outside.close()
        inside.close()


@pytest.mark.scenario("X12", "a path that reorders and duplicates: each packet arrives once")
def test_a_path_that_reorders_and_duplicates(seen):
    count = 1000
    with two_sites() as (a, b), relay(b.machine, 7000, ("127.0.0.1", b.port)):
        a.daemon.wg("set", "peer", b.keys.public, "endpoint", f"{OUTER[4][2]}:7000")
        ping(a.machine, b.inner[4])
        with b.machine.entered():
            receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with a.machine.entered():
            sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with receiver, sender:
            receiver.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
            receiver.bind((b.inner[4], 9000))
            receiver.settimeout(4)
            for number in range(count):
                sender.sendto(struct.pack("!L", number), (b.inner[4], 9000))
                if number % 50 == 0:
                    time.sleep(0.005)
            arrived = []
            with contextlib.suppress(TimeoutError):
                while True:
                    arrived.append(struct.unpack("!L", receiver.recv(100))[0])
                    if len(arrived) == count:
                        receiver.settimeout(1)  # waits for a duplicate
        assert len(arrived) == len(set(arrived)), "some arrived twice"
        assert sorted(arrived) == list(range(count)), f"{count - len(set(arrived))} are lost"
        late = sum(one < max(arrived[:place + 1]) for place, one in enumerate(arrived))
        assert late > count // 4, "the path did not reorder, so the test proves nothing"
        seen(f"{count} of {count}, {late} of them late, none twice")
