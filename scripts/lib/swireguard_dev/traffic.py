"""Traffic between machines, with checked contents."""

import contextlib
import hashlib
import random
import socket
import struct
import threading
import time

from swireguard_dev import machines
from swireguard_dev.machines import wait_until

BLOCK = random.Random("contents").randbytes(1 << 20)
LARGEST_PING = {4: 20 + 8, 6: 40 + 8}  # bytes of headers, by IP version


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def ping(machine, address, count=1, size=None, within=5, options=()):
    """Pings, and fails if an answer is missing. size: bytes of payload, not fragmented.

    Each packet has a process of its own: after its first answer, ping waits only two round trips for the
    others, which is too short on a busy machine.
    """
    within *= machines.patience
    sized = [] if size is None else ["-M", "do", "-s", size]
    for _ in range(count):
        output = machine.run("ping", "-n", "-c", 1, "-W", within, *sized, *options, address,
                             timeout=within + 20)
    return output


def flood(machine, address, count=10, within=4):
    """Flood ping. Counts replies in the kernel, because `ping` does not wait for late ones."""
    def answers():
        """The number of echo replies that the kernel has received."""
        file, name = (("snmp6", "Icmp6InEchoReplies") if ":" in address
                      else ("snmp", "InEchoReps"))
        with open(f"/proc/{machine.pid}/net/{file}") as lines:
            words = [line.split() for line in lines if line.startswith("Icmp")]
        if file == "snmp6":
            return int(dict(words)[name])
        names, values = [line for line in words if line[0] == "Icmp:"]
        return int(values[names.index(name)])

    before = answers()
    machine.run("ping", "-n", "-q", "-f", "-c", count, "-W", within, address, timeout=within + 20)
    wait_until(lambda: answers() - before >= count, f"{count} answers from {address}", within)


def assert_no_answer(machine, address):
    """Pings for a second, and fails if an answer arrives. Returns the output of ping."""
    result = machine.attempt("ping", "-n", "-c", 3, "-i", 0.2, "-W", 0.6, address)
    assert " 0 received" in result.stdout, result.stdout
    return result.stdout


def ping_until_answered(machine, address, within=1, size=56):
    """Pings every 0.1 s until an answer arrives; fails after `within` seconds."""
    return machine.run("ping", "-n", "-c", 1, "-i", 0.1, "-w", within, "-s", size, address)


def full_ping(machine, address, mtu, **options):
    """Pings with packets of exactly the MTU, not fragmented."""
    version = 6 if ":" in address else 4
    return ping(machine, address, size=mtu - LARGEST_PING[version], **options)


def send_stream(sender, receiver, address, size, within=20.0, pace=None, port=5001):
    """Sends `size` bytes over TCP from one machine to another, and compares the contents.

    pace: bytes per second. Returns the duration in seconds.
    """
    within *= machines.patience
    with receiver.entered():
        listener = socket.create_server((address, port), family=family(address))
    with sender.entered():
        outgoing = socket.socket(family(address), socket.SOCK_STREAM)
    digests = {}

    def receive():
        with contextlib.suppress(TimeoutError):  # the missing digest fails the assertion below
            connection, _ = listener.accept()
            connection.settimeout(within)
            digest = hashlib.sha1()
            with connection:
                while part := connection.recv(1 << 18):
                    digest.update(part)
            digests["received"] = digest.digest()

    listener.settimeout(within)
    begun = time.monotonic()
    with listener, outgoing:
        thread = threading.Thread(target=receive, daemon=True)
        thread.start()
        outgoing.settimeout(within)
        outgoing.connect((address, port))
        digests["sent"] = write_contents(outgoing, size, pace)
        outgoing.shutdown(socket.SHUT_WR)
        thread.join(within)
    assert "received" in digests, f"the stream of {size} bytes did not arrive within {within} s"
    assert digests["received"] == digests["sent"], "the contents differ"
    return time.monotonic() - begun


def write_contents(connection, size, pace):
    digest = hashlib.sha1()
    begun, done = time.monotonic(), 0
    step = len(BLOCK) if pace is None else max(1, pace // 50)
    while done < size:
        # All blocks differ, so that lost, duplicate and reordered blocks change the digest.
        part = struct.pack("!Q", done) + BLOCK[: min(step, size - done) - 8]
        part = part[: size - done]
        connection.sendall(part)
        digest.update(part)
        done += len(part)
        if pace is not None:
            time.sleep(max(0.0, begun + done / pace - time.monotonic()))
    return digest.digest()


def exchange_datagrams(left, right, address, sizes, port=5002, within=3.0):
    """Sends datagrams to `address` on `right`, which echoes them; all must return intact."""
    within *= machines.patience
    with right.entered():
        echo = socket.socket(family(address), socket.SOCK_DGRAM)
        echo.bind((address, port))
    with left.entered():
        client = socket.socket(family(address), socket.SOCK_DGRAM)
    expected = [random.Random(f"{number} {size}").randbytes(size)
                for number, size in enumerate(sizes)]

    def serve():
        with contextlib.suppress(TimeoutError):  # the client fails instead
            for _ in expected:
                datagram, sender = echo.recvfrom(65535)
                echo.sendto(datagram, sender)

    with echo, client:
        for end in (echo, client):
            end.settimeout(within)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        client.connect((address, port))
        received = []
        for first in range(0, len(expected), 16):  # small bursts fit into all queues
            burst = expected[first:first + 16]
            for datagram in burst:
                client.send(datagram)
            received += [client.recv(65535) for _ in burst]
        thread.join(within)
    assert sorted(received) == sorted(expected), "datagrams differ"
