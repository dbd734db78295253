"""Numbered datagrams, to detect loss and duplicates, and background traffic."""

import collections
import contextlib
import hashlib
import socket
import struct
import threading
import time

from swireguard_dev.traffic import family

UDP_SEGMENT = 103
PORT = 5003


def initiation(chance, public_key=None):
    """An initiation with random fields; mac1 is valid for `public_key` (32 bytes) if given."""
    start = struct.pack("<I", 1) + chance.randbytes(112)
    mac1 = chance.randbytes(16)
    if public_key is not None:
        key = hashlib.blake2s(b"mac1----" + public_key).digest()
        mac1 = hashlib.blake2s(start, digest_size=16, key=key).digest()
    return start + mac1 + bytes(16)


class Count:
    """Sends numbered datagrams in bursts, and counts how many arrive.

    size: bytes of each datagram. runs: send each burst in one segmented send.
    """

    def __init__(self, sender, receiver, address, size=600, runs=False):
        self.address, self.size, self.runs = address, size, runs
        with receiver.entered():
            self.receiving = socket.socket(family(address), socket.SOCK_DGRAM)
        with sender.entered():
            self.sending = socket.socket(family(address), socket.SOCK_DGRAM)
        self.receiving.setsockopt(socket.SOL_SOCKET, 33, 32 << 20)  # SO_RCVBUFFORCE
        self.receiving.bind((address, PORT))
        self.receiving.setblocking(False)
        self.sending.connect((address, PORT))
        if runs:
            self.sending.setsockopt(socket.SOL_UDP, UDP_SEGMENT, size)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.receiving.close()
        self.sending.close()

    def send(self, count, burst=40, pause=0.001):
        """Sends `count` datagrams; returns the number that arrived and the number of duplicates.

        Fewer datagrams are in flight than any queue holds, so overfull queues do not explain a loss.
        """
        seen = collections.Counter()
        for first in range(0, count, burst):
            datagrams = [struct.pack("!Q", number).ljust(self.size, b"\xa5")
                         for number in range(first, min(first + burst, count))]
            for part in [b"".join(datagrams)] if self.runs else datagrams:
                self.sending.send(part)
            time.sleep(pause)
            self.receive(seen, until=first + len(datagrams) - 200)
        self.receive(seen, until=count)
        return len(seen), seen.total() - len(seen)

    def receive(self, seen, until, within=10.0):
        """Counts arriving datagrams in `seen`, until it has `until` of them."""
        deadline = time.monotonic() + within
        while True:
            try:
                seen[struct.unpack("!Q", self.receiving.recv(65535)[:8])[0]] += 1
            except BlockingIOError:
                if len(seen) >= until or time.monotonic() > deadline:
                    return
                time.sleep(0.001)


@contextlib.contextmanager
def background(*flows, size=900, burst=20, pause=0.01):
    """Sends datagrams in the background while the body executes, and ignores errors.

    flows: (machine, address) pairs.
    """
    over = threading.Event()

    def send(client, address):
        while not over.is_set():
            for _ in range(burst):
                with contextlib.suppress(OSError):
                    client.sendto(bytes(size), (address, 9))
            over.wait(pause)

    clients = []
    for machine, address in flows:
        with machine.entered():
            clients.append(socket.socket(family(address), socket.SOCK_DGRAM))
    threads = [threading.Thread(target=send, args=(client, address), daemon=True)
               for client, (_, address) in zip(clients, flows)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread, client in zip(threads, clients):
            thread.join()
            client.close()
